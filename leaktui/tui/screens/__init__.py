"""The screens: watching a target, choosing one, and the small dialogs over them."""
