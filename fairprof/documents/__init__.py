"""Documents that are filled from what is known: datasheet, model card, draft technical documentation (Annex IV).

What only a person can know is asked for in the text by PROVIDER INPUT REQUIRED. Nothing is left blank, and nothing
is invented.
"""
