"""Generated portraits: the embedded data set, drawn on the spot and free of anybody's face. Gender and skin tone
vary independently of age. `people` decides by chance how somebody of an age, a gender and a skin tone looks, from
the tables in `ageing` and `colours`; the result is `looks`, all that the painters know. `portrait` puts the
picture together from back to front out of `body`, `face` (with `skin`), `hair` and `accessories`, which draw
shapes from `outlines` on a `canvas`. Imports run from `portrait` down, never back.
"""

from fairprof.data.portraits.canvas import REGIONS
from fairprof.data.portraits.colours import MONK_TONES
from fairprof.data.portraits.people import GENDERS, Person
from fairprof.data.portraits.portrait import draw_portrait

__all__ = ["GENDERS", "MONK_TONES", "REGIONS", "Person", "draw_portrait"]
