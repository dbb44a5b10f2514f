"""Pictures of what the designs look at: Grad-CAM of the same test images, and its means by group."""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fairprof.commands.compare.collect import RunResults
from fairprof.commands.compare.protocol import Protocol
from fairprof.metrics import fairness
from fairprof.metrics.attention import mean_maps
from fairprof.reporting.wording import enumerated
from fairprof.runtime.progress import note
from fairprof.saliency.outline import face_place
from fairprof.saliency.panels import (
    SIDE_BY_SIDE_IMAGES,
    Wording,
    looked_at,
    mean_map_difference_panel,
    side_by_side_panel,
)
from fairprof.store import tracking
from fairprof.store.models import MODEL_SETTINGS


def map_figures(results: Sequence[RunResults], protocol: Protocol) -> dict[str, Figure]:
    """Grad-CAM of the same test images through every design, and the mean maps by gender and race.

    Without any, which is said, where the runs were explained at different layers, as an earlier fairprof did.
    """
    runs = [run for run in results if run.arm == protocol.main_arm]
    maps = {run.run.run_id: tracking.load_arrays(run.run.run_id, "gradcam/maps.npz") for run in runs}
    layers = sorted({json.loads(tracking.load_text(run_id, MODEL_SETTINGS))["gradcam_layer"] for run_id in maps})
    if len(layers) > 1:
        note(f"Grad-CAM is not compared: the runs were explained at {enumerated(layers)}: train them again")
        return {}
    wording = Wording(at=looked_at(layers[0], next(iter(maps.values()))["maps"]))
    seed = min(run.seed for run in runs)
    shown = {run.design: run for run in runs if run.seed == seed}
    first = maps[next(iter(shown.values())).run.run_id]
    explained = first["image"]
    pixels = first["pixels"][:SIDE_BY_SIDE_IMAGES]
    predictions = {
        design: run.test.set_index("image", drop=False).loc[explained[: len(pixels)]] for design, run in shown.items()
    }
    figures = {
        "gradcam": side_by_side_panel(
            predictions,
            pixels,
            {design: maps[run.run.run_id]["maps"][: len(pixels)] for design, run in shown.items()},
            f"The same test images through every design, seed {seed}",
            wording,
        )
    }
    rows = runs[0].test.set_index("image").loc[explained].reset_index()
    for attribute in ("gender", "race"):
        groups = fairness.group_labels(rows, attribute).astype(str).to_numpy()
        figures[f"mean_maps_{attribute}"] = mean_map_difference_panel(
            {
                design: mean_maps(
                    np.mean([maps[run.run.run_id]["maps"] for run in runs if run.design == design], axis=0), groups
                )
                for design in protocol.designs
            },
            pd.Series(groups).value_counts().to_dict(),
            face_place(first["pixels"]),
            f"Mean Grad-CAM of the predicted class by {attribute}, mean over the seeds of each design",
            wording,
        )
    return figures
