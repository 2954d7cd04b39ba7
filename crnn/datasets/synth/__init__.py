"""Words of our own:

rendered in open fonts, on grounds and through cameras drawn from one table of effects.
"""
