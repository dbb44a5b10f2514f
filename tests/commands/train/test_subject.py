"""What a run is about, as it is handed to another process."""

import pickle

from fairprof.commands.train.run import prepared
from fairprof.commands.train.subject import RunSubject
from fairprof.config import Settings
from fairprof.data.pool import load_pool
from fairprof.documents.datasheet import datasheet, datasheet_facts


def test_it_says_of_the_images_what_the_pool_says_without_carrying_them(synthetic_cache):
    settings = Settings(
        cache_dir=str(synthetic_cache), architecture="shufflenet_v2_x0_5", weights="random", image_size=32
    )
    pool = load_pool(settings, settings.image_size)
    training = prepared(settings, pool)
    handed_over = pickle.dumps(RunSubject.of(training))
    assert len(handed_over) < pool.pixel_cache.array.nbytes / 3
    subject = pickle.loads(handed_over)
    of_subject, of_training = (
        datasheet(datasheet_facts(given, drawn, settings))
        for given, drawn in ((subject.pool, subject.drawn), (pool, training.drawn))
    )
    assert of_subject == of_training
    assert "Decoded upright to RGB" in of_subject
