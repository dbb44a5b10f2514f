"""Images that a report leaves out, in a sentence."""

from fairprof.reporting.blocks import Paragraph


def left_out(file: str) -> Paragraph:
    """That images are not on the page, and how they are seen; file: its path among the run's artifacts."""
    return Paragraph(
        "Images of the data set may show people and are left out of this page, which may be passed on: they are in "
        f"{file} among the run's artifacts, and with faces_in_reports=true they are shown here."
    )
