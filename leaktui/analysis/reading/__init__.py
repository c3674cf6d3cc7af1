"""Why something acquired in a function is not given back, read from the function's source.

Law: pure. Conditions are unknown unless they say whether the acquiring failed, or repeat one already taken; what a
call does with its argument is unknown unless the function stands in the same file. "Certain" is never said of either.
"""
