"""The picture of shares shows what is told, and nothing that is withheld."""

from fairprof.commands.explain.pictures import attention_figure
from tests.commands.explain.made import explanation, study


def legend_of(figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_only_models_whose_maps_are_trusted_have_points():
    assert "model A, mean" in legend_of(attention_figure(explanation({"A": 3, "B": 3})))
    shown = legend_of(attention_figure(explanation({"A": 0, "B": 3})))
    assert "model B, mean" in shown and "model A, mean" not in shown


def test_designs_of_a_study_have_a_point_each():
    designs = study(2)
    models = {label: 3 for seeds in designs.values() for label in seeds.values()}
    assert legend_of(attention_figure(explanation(models, designs)))[:2] == ["design A, mean", "design B, mean"]
