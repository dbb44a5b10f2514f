"""What is known of the data sets behind each kind of source, and what its provider has to add."""

from dataclasses import dataclass

from fairprof.data.shards import read_description
from fairprof.data.sources import synthetic
from fairprof.documents.rendering import PROVIDER_INPUT
from fairprof.runtime.files import path_of

SEEN_IN_PAPER = "the data set's paper may say"


def _ask(question: str) -> str:
    return f"{PROVIDER_INPUT}: {question}"


@dataclass(frozen=True)
class Provenance:
    """Answers about a published data set, each one sentence or more; what is not known is a question to the provider.

    real_people: whether pictures show people, None where that is not known. The rest answers the questions of
    Gebru et al. 2021 by their names.
    """

    title: str
    real_people: bool | None
    purpose: str
    creators: str
    funding: str
    instances: str
    groups: str
    sampled_from: str
    acquisition: str
    sampling: str
    annotation: str
    timeframe: str
    ethical_review: str
    consent: str
    confidentiality: str
    earlier_uses: str
    access: str
    licence: str
    maintenance: str
    retention: str


CONSENT = _ask("were the people in the pictures told, did they agree, and how can they withdraw?")
CONFIDENTIALITY = (
    "The pictures show people, who can be recognised by whoever knows them; the labels race and gender are sensitive. "
    + _ask("on what legal basis are these data processed here, and is there a data protection impact assessment?")
)
ETHICAL_REVIEW = _ask(f"was the collection reviewed by an ethics board ({SEEN_IN_PAPER})?")
RETENTION = _ask("must pictures be deleted at some time, or when a person asks for it?")
NOBODY = "Not applicable: no person is pictured, and none was asked for data."

PROVENANCE = {
    "synthetic": Provenance(
        title="the embedded data set of fairprof",
        real_people=False,
        purpose="To run, show and test fairprof without any picture of a person and without a download.",
        creators="The fairprof project; the program draws the pictures.",
        funding=_ask("who funded the work on fairprof?"),
        instances="Generated portraits: drawings. No person is shown.",
        groups=(
            "Gender is what the program drew. Three groups of skin tones of the Monk scale (1-4, 5-7, 8-10) stand for "
            "race; they are no race of anybody."
        ),
        sampled_from=f"No: these are all {synthetic.IMAGES:,} portraits of version {synthetic.VERSION}.",
        acquisition=f"Drawn by fairprof.data.portraits from random numbers (seed {synthetic.SEED}).",
        sampling="Gender, skin tone and age were drawn at random, independently of each other, with unequal shares.",
        annotation="Nobody annotated them: the portraits were drawn to their labels, which are exact.",
        timeframe="Not applicable: they are drawn when they are first used, always the same.",
        ethical_review=NOBODY,
        consent=NOBODY,
        confidentiality="No: nobody is pictured.",
        earlier_uses="fairprof's own tests and examples.",
        access="The program draws them; nothing has to be handed over.",
        licence="They come from fairprof, which is under the MIT licence.",
        maintenance="The fairprof project; a changed portrait or label gets a new version name.",
        retention="None needed.",
    ),
    "utkface": Provenance(
        title="UTKFace (Zhang, Song and Qi 2017, CVPR)",
        real_people=True,
        purpose="Research on faces, such as estimating, progressing and regressing age.",
        creators="Z. Zhang, Y. Song and H. Qi, University of Tennessee, Knoxville.",
        funding=_ask(f"who funded the data set ({SEEN_IN_PAPER})?"),
        instances="Pictures of real faces, from the web.",
        groups=(
            "Two genders and five races (White, Black, Asian, Indian, Others), estimated from the picture; nobody said "
            "them of themselves."
        ),
        sampled_from=(
            "The published set has over 20,000 faces from the web. "
            + _ask("is this copy all of it, and if not, how was it chosen?")
        ),
        acquisition="Collected from the web by its authors.",
        sampling=_ask(f"how did its authors choose the pictures ({SEEN_IN_PAPER})?"),
        annotation=(
            "Age, gender and race were estimated by an algorithm (DEX) and checked by a human annotator, as its "
            "authors say. They are encoded in the file names."
        ),
        timeframe=_ask("when were the pictures taken and collected?"),
        ethical_review=ETHICAL_REVIEW,
        consent=CONSENT,
        confidentiality=CONFIDENTIALITY,
        earlier_uses="Widely used in research on age, gender and race in faces.",
        access="fairprof does not distribute it; its authors do.",
        licence=(
            "For non-commercial research only, as its authors say; the copyright of the pictures is not theirs. "
            + _ask("is this use within these terms?")
        ),
        maintenance=_ask("who looks after this copy, and where are errors reported?"),
        retention=RETENTION,
    ),
    "fairface": Provenance(
        title="FairFace (Karkkainen and Joo 2021, WACV)",
        real_people=True,
        purpose="To have a face data set that is balanced over races, for measuring and reducing bias.",
        creators="K. Karkkainen and J. Joo, University of California, Los Angeles.",
        funding=_ask(f"who funded the data set ({SEEN_IN_PAPER})?"),
        instances="Pictures of real faces, from the web (Flickr).",
        groups="Two genders and seven races, as crowd workers judged the picture; nobody said them of themselves.",
        sampled_from=(
            "Faces in YFCC-100M, a collection of Flickr's pictures. "
            + _ask("is this copy the published one, and if not, how was it chosen?")
        ),
        acquisition="Faces were detected in pictures of the web, mostly of YFCC-100M, and cut out by its authors.",
        sampling="Its authors collected so that the seven races are about equally frequent.",
        annotation="Race, gender and age group were annotated by crowd workers (Amazon Mechanical Turk), three a face.",
        timeframe=_ask("when were the pictures taken and collected?"),
        ethical_review=ETHICAL_REVIEW,
        consent=CONSENT,
        confidentiality=CONFIDENTIALITY,
        earlier_uses="Widely used in research on the fairness of face analysis.",
        access="fairprof does not distribute it; its authors do.",
        licence=(
            "Its authors publish it under CC BY 4.0; the photographs have licences of their own. "
            + _ask("which licences hold for the pictures of this copy, and is this use within them?")
        ),
        maintenance=_ask("who looks after this copy, and where are errors reported?"),
        retention=RETENTION,
    ),
    "manifest": Provenance(
        title="a data set of the user's own, read from a manifest",
        real_people=None,
        purpose=_ask("for what purpose was the data set created?"),
        creators=_ask("who created the data set, and for whom?"),
        funding=_ask("who funded the data set?"),
        instances=_ask("what do the pictures show, and are they of real people?"),
        groups=_ask("what do the values of gender and race mean, and who assigned them?"),
        sampled_from=_ask("is it a sample of a larger set, and how was it chosen?"),
        acquisition=_ask("how and with what were the pictures taken or collected?"),
        sampling=_ask("by what strategy were they chosen?"),
        annotation=_ask("who assigned the labels in the manifest, how, and how were they paid?"),
        timeframe=_ask("when were the pictures taken and collected?"),
        ethical_review=_ask("was the collection reviewed by an ethics board?"),
        consent=_ask("are people pictured, and if so: were they told, did they agree, how can they withdraw?"),
        confidentiality=_ask(
            "are people recognisable, on what legal basis are their data processed, and is there a data protection "
            "impact assessment?"
        ),
        earlier_uses=_ask("what has it been used for?"),
        access=_ask("is it distributed, to whom and how?"),
        licence=_ask("under which licence or terms of use may it be used?"),
        maintenance=_ask("who looks after it, and where are errors reported?"),
        retention=_ask("must pictures be deleted at some time, or when a person asks for it?"),
    ),
}


def provenance_of(data: str) -> Provenance:
    """What is known of the data set that a value of the setting `data` names, as in "utkface:faces", or from which the
    shards were written that it names.

    Raises ValueError for an unknown kind.
    """
    kind, _, path = data.partition(":")
    if kind == "shards":
        kind = read_description(path_of(path, "data")).name
    if kind not in PROVENANCE:
        raise ValueError(f"data={data} is of no known kind: it should begin with {', '.join(PROVENANCE)}")
    return PROVENANCE[kind]
