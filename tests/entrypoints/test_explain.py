"""An explanation of registered models: what it logs, what it links, and how it refuses."""

import base64
import re

import mlflow
import numpy as np
import pandas as pd
import pytest

from fairprof.commands.explain import run
from fairprof.commands.explain.models import load_models
from fairprof.commands.explain.results import TABLES
from fairprof.commands.explain.run import run_explanation
from fairprof.commands.explain.trust import TRUSTED, trust_of
from fairprof.config import ExplainSettings, Settings
from fairprof.data.professions import PROFESSIONS
from fairprof.data.sources import synthetic
from fairprof.errors import UserError
from fairprof.network.classifier import build_classifier
from fairprof.saliency.panels import Wording, reference_difference_panel
from fairprof.store import tracking
from fairprof.store.models import load_stored
from tests.entrypoints.runs import MLFLOW_WARNS
from tests.models import register_in_active_run
from tests.places import mlflow_in
from tests.reporting.pages import needs_nothing_else

pytestmark = [pytest.mark.slow, *MLFLOW_WARNS]

QUICK = {"permutations": 99, "replicates": 100}
IMAGES = 24


@pytest.fixture(scope="module")
def models(trained):
    """Designs A and B at 64 px, and a network of 32 px that never learned anything as the second version of A."""
    with mlflow_in(trained):
        register_small_network()
        yield


def register_small_network():
    classifier = build_classifier("resnet18", "random", "all", len(PROFESSIONS), 0)
    with tracking.started_run("A-small", {}):
        register_in_active_run(
            classifier.network.state_dict(),
            classifier.explained_layer,
            Settings(image_size=32, architecture="resnet18"),
            PROFESSIONS,
            {"best_val/macro_f1": 0.1},
            "another pool",
        )


def settings_of(synthetic_cache, **values) -> ExplainSettings:
    given = {
        "models": "fairprof-A/1,B",
        "gradcam_images": IMAGES,
        "faithfulness_images": 4,
        "cache_dir": str(synthetic_cache),
    }
    return ExplainSettings(**given | QUICK | values)


@pytest.fixture(scope="module")
def explained(models, synthetic_cache):
    run_id = run_explanation(settings_of(synthetic_cache))
    return mlflow.MlflowClient().get_run(run_id)


def test_a_run_is_named_tagged_and_linked_to_the_models(explained):
    assert (explained.info.run_name, explained.info.status) == ("explain-A-1-B", "FINISHED")
    tags = explained.data.tags
    assert [tags[f"fairprof.{name}"] for name in ("role", "models", "method", "data")] == [
        "explanation",
        "A-1,B",
        "GradCAM",
        "synthetic",
    ]
    linked = {used.model_id for used in explained.inputs.model_inputs}
    versions = [load_stored(reference) for reference in ("fairprof-A/1", "fairprof-B/1")]
    assert linked == {version.version.model_id for version in versions}
    for version, label in zip(versions, ("A-1", "B"), strict=True):
        logged = {metric.key for metric in mlflow.get_logged_model(version.version.model_id).metrics}
        assert f"{label}/maps_trusted" in logged
    assert re.match("(The|Whether the) maps of model A-1 ", tags["mlflow.note.content"])


def test_metrics_are_the_numbers_of_the_tables(explained):
    run_id = explained.info.run_id
    logged, shown = tracking.load_values(run_id), explained.data.metrics
    assert (
        len(shown) <= 30 and {"A-1/maps_trusted", "B/maps_trusted"} <= shown.keys() and shown.items() <= logged.items()
    )
    whole = tracking.load_table(run_id, "attention/by_group.csv")
    whole = whole[whole["attribute"].eq("all")].set_index(["model", "measure"])["value"]
    trust = tracking.load_table(run_id, "trust/models.csv").set_index("model")["trust"]
    for label in ("A-1", "B"):
        assert logged[f"{label}/maps_trusted"] == (trust[label] == "trusted")
        assert np.isfinite(logged[f"{label}/randomised_head_similarity"])
        if trust[label] != "trusted":
            assert not [name for name in logged if name.startswith((f"{label}/attention", f"{label}/map_distance"))]
            continue
        shares = [logged[f"{label}/attention/{region}"] for region in ("background", "face", "hair")]
        assert sum(shares) == pytest.approx(1)
        assert shares[2] == pytest.approx(whole[label, "attention_hair"])
        for name in ("attention_gap/race", "map_distance/gender", "faithfulness/road"):
            assert np.isfinite(logged[f"{label}/{name}"])
    similarity = tracking.load_table(run_id, "randomisation/similarity.csv")
    assert list(similarity["randomised"])[:6] == ["head", "layer4", "layer3", "layer2", "layer1", "everything"]
    per_image = tracking.load_table(run_id, "attention/per_image.csv")
    assert len(per_image) == 2 * IMAGES and set(per_image["masks"]) == {"regions"}
    undefined = per_image["attention_face"].isna().groupby(per_image["model"]).sum()
    assert undefined.to_dict() == {label: logged[f"{label}/undefined_maps"] for label in ("A-1", "B")}


@pytest.fixture(scope="module")
def trusted(models, synthetic_cache):
    """The same as if the maps of both had passed: networks of seconds have none that do."""

    def all_trusted(*given):
        return trust_of(*given).assign(trust=TRUSTED)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "trust_of", all_trusted)
        run_id = run_explanation(settings_of(synthetic_cache))
    return mlflow.MlflowClient().get_run(run_id)


def names_under(explained, folder: str) -> set[str]:
    return {entry.path for entry in mlflow.MlflowClient().list_artifacts(explained.info.run_id, folder)}


def test_tables_pictures_and_raw_maps_are_there(trusted):
    of_models = {path for name, path in TABLES.items() if name not in ("designs", "design_differences")}
    assert names_under(trusted, "tables") == {f"tables/{path.replace('/', '_')}.json" for path in of_models}
    pictures = names_under(trusted, "pictures")
    assert len(pictures) == 9 and "pictures/model_differences_race.png" in pictures
    arrays = tracking.load_arrays(trusted.info.run_id, "saliency/maps.npz")
    assert arrays["maps_A-1"].shape == arrays["maps_B"].shape == (IMAGES, 8, 8)
    assert arrays["regions"].shape == (IMAGES, 64, 64) and arrays["region_names"].tolist() == [
        "background",
        "face",
        "hair",
    ]


def test_the_report_is_one_page_that_begins_with_the_answer(trusted):
    page = tracking.load_text(trusted.info.run_id, "report.html")
    assert needs_nothing_else(page)
    sources = re.findall(r"data:image/png;base64,([^\"]+)", page)
    assert len(sources) == 9 and all(base64.b64decode(source).startswith(b"\x89PNG") for source in sources)
    answer = page.split("The answer</h2>")[1].split("</section>")[0]
    told = [
        "can be trusted",
        "random maps",
        "randomised",
        "Of model A-1&#39;s attention lie",
        "on the face",
        "not of the",
    ]
    places = [answer.index(text) for text in told]
    assert places == sorted(places)


def test_maps_that_fail_are_withheld(explained):
    run_id = explained.info.run_id
    trust = tracking.load_table(run_id, "trust/models.csv")
    failing = set(trust[trust["trust"].ne("trusted")]["model"])
    by_group = tracking.load_table(run_id, "attention/by_group.csv")
    assert set(by_group[by_group["reported"].eq("withheld")]["model"]) == failing
    page = tracking.load_text(run_id, "report.html")
    for label in ("A-1", "B"):
        assert (f"Of model {label}&#39;s attention lie" in page) == (label not in failing)
    if len(failing) == 2:  # nothing of attention is shown but the maps themselves
        assert names_under(explained, "pictures") == {
            f"pictures/{name}.png" for name in ("side_by_side", "faithfulness", "randomisation")
        }
        assert not [
            name for name in names_under(explained, "tables") if "attention" in name and "per_image" not in name
        ]


def test_a_method_that_ignores_the_head_is_flagged_and_data_without_masks_have_a_centre_prior(
    models, synthetic_cache, tmp_path
):
    table = pd.read_csv(synthetic_cache / synthetic.VERSION / "labels.csv").iloc[:400]
    table["image"] = [str(synthetic_cache / synthetic.VERSION / name) for name in table["image"]]
    table[["image", "gender", "race", "age"]].to_csv(tmp_path / "faces.csv", index=False)
    settings = settings_of(
        synthetic_cache,
        models="B",
        data=f"manifest:{tmp_path / 'faces.csv'}",
        method="EigenCAM",
        explained="true",
        gradcam_images=16,
        faithfulness_images=0,
    )
    run_id = run_explanation(settings)
    logged = mlflow.MlflowClient().get_run(run_id).data
    assert logged.params["regions"] == "centre prior"
    assert logged.metrics["B/randomised_head_similarity"] == pytest.approx(1)
    assert logged.metrics["B/maps_trusted"] == 0 and "B/attention/centre" not in logged.metrics
    assert set(tracking.load_table(run_id, "attention/by_group.csv")["masks"]) == {"centre prior"}
    page = tracking.load_text(run_id, "report.html")
    assert "by symmetry" not in page  # 8 x 8 fields
    assert (
        "FLAGGED" in page and "centre prior" in page and "It was not measured" in page and "attention lie" not in page
    )


def loaded(settings: ExplainSettings):
    return load_models(settings, settings.references())


def test_models_that_cannot_be_explained_together_are_refused(models, synthetic_cache, refused):
    with refused("fairprof-A version 2 takes images of 32 pixels", "fairprof-B version 1", "64"):
        loaded(settings_of(synthetic_cache, models="B,fairprof-A/2"))
    with refused("both fairprof-B version 1", "name it once"):
        loaded(settings_of(synthetic_cache, models="B,fairprof-B/1"))
    run_id = load_stored("B").run.run_id
    with refused(f"B and run-{run_id[:8]} are both B-seed0", "name it once"):
        loaded(settings_of(synthetic_cache, models=f"B,run:{run_id}"))
    with refused("no registered model C"):
        loaded(settings_of(synthetic_cache, models="B,C"))


@pytest.mark.parametrize(
    ("given", "text"),
    [("", "at least one"), (" , ", "at least one"), ("A,a", "occurs twice"), ("B,fairprof-B@champion", "occurs twice")],
)
def test_a_list_without_models_or_with_one_twice_is_answered_in_a_line(given, text):
    with pytest.raises(UserError, match=text):
        ExplainSettings.from_arguments(["--models", given])


def test_labels_are_short():
    settings = ExplainSettings(models="b, fairprof-A, models:/fairprof-C/3,fairprof-D@old, other/2")
    assert list(settings.references()) == ["B", "A", "C-3", "D-old", "other-2"]


@pytest.mark.parametrize("method", ["AttentionRollout", "GradientWeightedAttention"])
def test_a_method_that_says_nothing_of_a_network_is_answered_in_a_line(method, models, synthetic_cache, refused):
    with refused(f"method={method} does not apply to A-1, whose architecture is resnet18: it has no blocks"):
        run_explanation(settings_of(synthetic_cache, method=method))


def test_a_missing_model_is_one_line_for_the_user(models, refused):
    with refused("no registered model nobody"):
        run_explanation(ExplainSettings(models="nobody"))


def test_the_panel_of_differences_shows_their_sign_on_one_scale():
    means = {"A": {"all": np.full((2, 2), 0.25)}, "B": {"all": np.array([[0.5, 0.25], [0.25, 0.0]])}}
    figure = reference_difference_panel(means, {"all": 9}, "A", None, "title", Wording("model"))
    (image,) = figure.axes[0].images
    np.testing.assert_allclose(image.get_array(), [[25, 0], [0, -25]])
    assert image.get_clim() == (-25, 25)
    assert figure.axes[0].get_title() == "all\n9 images"
