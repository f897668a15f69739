"""Identification methods, one module each, behind one interface (`interface.py`); what the plan must know:
`catalogue.py`.
"""
