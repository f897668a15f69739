"""Identification methods, one module each, behind one interface (`interface.py`); what the plan must know:
`config.method_catalogue`.
"""
