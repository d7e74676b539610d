"""Hotel companies that are not ours, and the connection to them, which loses things."""

from lab.lazily import exported

__getattr__ = exported(
    __name__,
    {
        "BareCompany": "companies",
        "cells": "trials",
        "CallbackCompany": "companies",
        "KeyCompany": "companies",
        "KINDS": "kinds",
        "Line": "line",
        "LookUpCompany": "companies",
        "lost": "trials",
        "trials": "trials",
        "try_hotels": "trials",
    },
)
