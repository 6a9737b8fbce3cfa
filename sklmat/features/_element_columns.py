"""How many elements have columns of their own in a table."""

#: Largest number of elements with columns of their own by default.
MAX_ELEMENTS = 12
