"""The terms of reports and documentation, each defined once; a report shows those that it uses."""

from fairprof.reporting.blocks import Terms

TERMS = {
    # data
    "pool": "every usable image of a data set, with its gender, race, age and profession",
    "quarantine": "rows that cannot be used: none is dropped silently, each is listed with its line and reason",
    "attribute": "gender, race, or their intersection, gender x race",
    "cell": "the images that agree in the axes that a design balances, such as Female x White x retired",
    "limiting cell": "the cell with the fewest images for the share it has to give: all others give as many",
    "label bias": "labels that were drawn with other probabilities for some groups on purpose, by a known strength",
    "cue gap": (
        "by how much fainter the embedded portraits show age on the darkest skin tone than on the lightest, on purpose"
    ),
    "total variation": (
        "half the sum of the differences of the shares: 0 for samples that are composed alike, 1 for samples without a "
        "common category"
    ),
    # design and training
    "design": "which axes are balanced when training images are drawn from the pool: A, B, C or D",
    "draw": "the rows that a design takes from the pool for a seed",
    "seed": "one draw of training images, one initialisation and one data order; designs at the same seed are a pair",
    "hyperparameters": "what is shared: one set for A, B, C and D, identified by its hash",
    "run": "one trained model: design, seed, hyperparameters, data",
    "predictions": "a table with a row per image: name, groups, true and predicted class, and a probability per class",
    "study": "designs x seeds under one set of hyperparameters, one pool and one test set",
    "arm": (
        "the runs with one size of the training set: natural (as many images as a design's smallest cell allows), "
        "matched (as many as the smallest design has), a number, or a fraction of one of these; a run that draws the "
        "same images in two arms counts in both"
    ),
    # methods
    "method": (
        "what is done against unfairness beside composing the data: to the weights of the images, the loss, the last "
        "layer or the predictions"
    ),
    "combination": "a design with a method: runs that differ in their seeds alone",
    "group DRO": (
        "training that follows the group with the largest loss: groups weigh the more, the larger their loss has been "
        "(distributionally robust optimisation; Sagawa et al. 2020)"
    ),
    "interaction": (
        "what a method or backbone changes in a design less what it changes in the reference; 0 where it and the "
        "design add up"
    ),
    "non-inferiority margin": (
        "the loss of accuracy that has to be ruled out for every group before a method is called harmless: delta"
    ),
    "random replacement": (
        "a share of the predictions without a method replaced by ones drawn at random among them; it brings gaps down "
        "and costs macro-F1, and a method that costs more at the same gap is under its line (Hort, Zhang, Sarro and "
        "Harman 2021)"
    ),
    "distance to the ideal": (
        "a rule to choose the epoch of a training: macro-F1 and the equal opportunity difference lie together as near "
        "to 1 and 0 as in any other"
    ),
    # backbones
    "backbone": "a network and the weights that it starts from: architecture and pretraining",
    "main effect": "the mean of a design over all backbones, or of a backbone over all designs",
    "range": (
        "the largest less the smallest main effect of the designs, or of the backbones; it is never negative, and by "
        "chance alone the larger, the more there are"
    ),
    # scores
    "macro-F1": "the mean over the classes of F1, the harmonic mean of precision and recall; 1 is ideal",
    "ceiling": "the expected score of the best rule on labels that are partly random; half of their draws give it more",
    "share above chance": "(score - chance) / (ceiling - chance), where chance is what is expected of the same "
    "predictions in random order",
    "expected calibration error": "the mean distance of accuracy from confidence over bins of images; 0 is ideal",
    "overconfidence": "mean confidence minus accuracy; 0 is ideal, and what calibrated groups have, however confident",
    "coverage": "the share of the predictions that is kept when the least confident are refused",
    # gaps
    "selection rate": "the share of a group's images for which a class is predicted",
    "true positive rate": "the share of a group's images of a class for which that class is predicted",
    "false positive rate": "the share of a group's images of other classes for which a class is predicted",
    "demographic parity difference, DP": (
        "the largest minus the smallest selection rate over the groups, for the class with the largest unless said "
        "otherwise; 0 is ideal"
    ),
    "equal opportunity difference, EO": "the same of the true positive rate (Hardt, Price and Srebro 2016)",
    "equalized odds difference": "the larger of the differences of the true and the false positive rate",
    "noise floor": (
        "what a gap comes to by chance where groups are served alike: its mean, and its 95 % quantile, with the groups "
        "permuted or, before any training, over simulated classifiers; it is never 0, and larger with smaller groups"
    ),
    "excess": "a gap minus the mean of its noise floor",
    "spread": (
        "the standard deviation of a rate between groups without what chance adds; below zero where the groups lie "
        "closer together than chance has them, and zero in expectation where they are equal (Lum, Zhang and Bower 2022)"
    ),
    "test of a gap": (
        "how far the farthest of all groups and classes lies from chance, on a scale on which no small group can "
        "dominate, among the same of permuted groups; the gap itself only describes"
    ),
    "contrast": (
        "a group's rate minus that of the rest, with bands that hold for all groups at once, and a p-value that allows "
        "for all groups and classes (Westfall and Young 1993)"
    ),
    "undefined": "a rate whose denominator is zero, or a number that rests on such rates: never 0 and never 1",
    "insufficient evidence": "a rate on fewer images than min_support: it is kept and marked",
    # what may be claimed
    "established": (
        "the adjusted p-value is at most .05; between designs: for new seeds and new images; what is not established "
        "is no evidence of equality"
    ),
    "equivalent": (
        "not established, and surely below delta: the upper end of the gap's band is, and no rate is undefined; of a "
        "difference, both ends of its interval are"
    ),
    "degenerate": "a model that predicts one class for every image: equal between groups, and no verdict is given",
    "scope": (
        "what a verdict holds for: these models (new test images), this test set (new seeds, the same images), or new "
        "seeds and new images; established between designs means the last"
    ),
    "delta": "the margin of equivalence, a setting",
    "confirmatory, exploratory": (
        "a small family of claims was fixed beforehand and is confirmatory; all else suggests, and does not show"
    ),
    "adjusted p": "a p-value that allows for all the tests of its family",
    "Holm, Sidak, max-T": (
        "adjustments that control the chance of any false claim in a family (Holm 1979; Sidak 1967; Westfall and Young "
        "1993)"
    ),
    "Benjamini-Hochberg": "an adjustment that controls the share of false claims among the claims (1995)",
    "sign-flip test": (
        "an exact test that differences by seed are symmetric about zero, on one test set: the sign of each would be "
        "a coin toss; with n seeds the smallest two-sided p-value is 2 / 2^n (of more than twenty seeds, 100,000 "
        "patterns of signs stand for all); it says nothing of other images"
    ),
    "levelling down": (
        "a gap that is smaller, which is established, while no group's accuracy gains .01, by simultaneous upper ends "
        "(Mittelstadt, Wachter and Russell 2023, arXiv:2302.02404)"
    ),
    # saliency
    "Grad-CAM": "a map of the regions that raised a class's score (Selvaraju et al. 2017)",
    "share of attention": "the share of a map's sum, enlarged bilinearly to the image, that lies in a region",
    "density": "the share of attention over the region's share of the image; 1: as much as its area",
    "Gini index": "0: attention is even; near 1: one field has all (Hurley and Rickard 2009)",
    "effective area": "the share of the image over which an even map of the same entropy would spread",
    "strength": "the mean of the raw map, in its unit",
    "ROAD": (
        "the probability without the least relevant pixels minus that without the most relevant, halved, mean over "
        "several shares of the pixels (Rong et al. 2022); higher is better"
    ),
    "deletion": "the area under the probability while the most relevant pixels go first; lower is better",
    "insertion": (
        "the area under the probability while the most relevant pixels come first; higher is better (Petsiuk et al. "
        "2018)"
    ),
    "trusted": (
        "of maps: at least two of ROAD, deletion and insertion are established better than for random maps, none is "
        "worse, and the maps change with the weights"
    ),
    "withheld": "not told, as it rests on maps that are not trusted",
    "flagged": (
        "the whole interval of the rank correlation lies above a threshold: the maps do not depend on the weights that "
        "were randomised (Adebayo et al. 2018)"
    ),
}


def terms(*names: str) -> Terms:
    """Some of the terms with their definitions, in the order of the glossary. Raises `KeyError` for another name."""
    chosen = {name: TERMS[name] for name in names}
    return Terms(tuple((name, chosen[name]) for name in TERMS if name in chosen))
