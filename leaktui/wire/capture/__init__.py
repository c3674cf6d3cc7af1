"""The capture format `leaktui.capture/1`: one gzip file of JSON lines, and the values they stand for.

A header (an object) comes first; all lines after it are arrays, told apart by their first element:

    ["T", name, [field, …]]          a type and its fields, in the order in which values of it list them
    ["S", text]                      a string that is meant by its number from now on (the first is 0)
    ["D", type, [value, …]]          a value that is meant by its number from now on
    ["K", [frame, …]]                a stack, likewise
    ["R", seconds, source, type, [value, …]]   a record: when after the start, from whom, and what

Values are as JSON has them; a dataclass is an array of its fields (without those at the end that have their default)
or the number of one given before, a string a string or the number of one, a stack likewise. Types are never code: only
those the reader knows by name are made.

Law: bytes ↔ values and nothing else: no files, no clock. Whatever the bytes are, reading them takes bounded memory and
raises nothing but DecodeError.
"""
