"""The terminal interface.

Law: background threads never touch a widget, they post messages; every string of the target is drawn as
literal text after `text.printable`; one table of actions feeds keys, footer, palette and help.
"""
