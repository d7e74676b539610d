"""Hotel companies that are not ours, and the connection to them, which loses things."""

from lab.lazily import exported

__getattr__ = exported(
    __name__,
    {
        "BareCompany": "companies",
        "cells": "trials",
        "compared": "trials",
        "HandClock": "by_hand",
        "CallbackCompany": "companies",
        "KeyCompany": "companies",
        "hotels_of": "kinds",
        "CALLBACK": "kinds",
        "KEY": "kinds",
        "KINDS": "kinds",
        "LOOK_UP": "kinds",
        "NOTHING": "kinds",
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
