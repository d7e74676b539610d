"""Hotel companies that are not ours, and the connection to them, which loses things."""

from lab.lazily import exported

__getattr__ = exported(
    __name__,
    {
        "BareCompany": "companies",
        "cells": "trials",
        "CallbackCompany": "companies",
        "KeyCompany": "companies",
        "hotels_of": "kinds",
        "KINDS": "kinds",
        "Line": "line",
        "LookUpCompany": "companies",
        "lost": "trials",
        "recorded_hotels": "simulated",
        "simulate_hotels": "simulated",
        "simulated_cells": "simulated",
        "trials": "trials",
        "try_hotels": "trials",
    },
)
