"""Building blocks of the screens.

Law: widgets know no Go. They are given lines of toned text and callables, and post messages.
"""
