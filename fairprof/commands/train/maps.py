"""What a run's network looks at: Grad-CAM of test images that are the same for every design."""

import pandas as pd

from fairprof.commands.train.subject import CONTACT_SHEET_IMAGES, Explained
from fairprof.data.sample import balanced_sample
from fairprof.network.batches import Inputs, InputsOfRows
from fairprof.network.images import pixels_seen
from fairprof.network.prefix import explained_inputs
from fairprof.network.records import Training
from fairprof.saliency.gradcam import saliency_maps


def explained(training: Training, predictions: pd.DataFrame) -> tuple[Explained, Inputs]:
    """Grad-CAM of the predicted class of test images, and what entered the network for them.

    predictions: those of the whole test set.
    """
    settings, pool, classifier = training.settings, training.pool, training.classifier
    test = training.drawn.test
    chosen = balanced_sample(pool.table.iloc[test], max(settings.gradcam_images, CONTACT_SHEET_IMAGES))
    rows, predictions = test[chosen], predictions.iloc[chosen].reset_index(drop=True)
    inputs = explained_inputs(classifier, training.inputs, pool, settings, rows)
    targets = predictions["y_pred"].map(pool.professions.index).to_numpy()
    maps = saliency_maps(
        classifier.network, classifier.explained_layer, InputsOfRows(inputs, rows), targets, inputs.boundary
    )
    pixels = pixels_seen(pool.pixel_cache.array[pool.table["pixel"].to_numpy()[rows]], settings.image_size)
    return Explained(predictions, pixels, maps), inputs
