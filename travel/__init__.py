"""Book a trip (flight, hotel, car, payment) as a saga on Temporal.

Read it top down, an import points down only:

* ``client``, ``worker``, ``audit``: the entry points, ``python -m travel.client``
* ``workflows``: the designs, ``BookTrip`` and its flawed forerunners
* ``saga``: remembers how to undo each step, and undoes them
* ``activities``: what a Workflow may ask for
* ``providers``: flights, hotels, cars, payments, email
* ``database``, ``seed_data``, ``faults``: tables, inventory, failure model
* ``models``, ``errors``: what crosses the wire
"""

__version__ = "1.0"
