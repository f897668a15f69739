"""Methods that identify regions, one module each, behind one interface.

That stands in `interface`; what the plan must know of a method, in `config.method_catalogue`.
"""
