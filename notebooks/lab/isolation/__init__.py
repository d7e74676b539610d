"""What sagas cannot hide from each other: a hotel with few rooms, and a day of customers.

Three sagas that lose nothing, and sell differently. Run on the simulator, where a day
of customers takes a moment.
"""

from lab.lazily import exported

__getattr__ = exported(
    __name__,
    {
        "BookThenPay": "sagas",
        "HoldThenPay": "sagas",
        "PayThenBook": "sagas",
        "Hotel": "hotel",
        "after_a_termination": "day",
        "days_compared": "day",
        "one_day": "day",
    },
)
