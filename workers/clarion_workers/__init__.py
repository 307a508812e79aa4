"""The post room: takes batches from the queue, renders, hands over, records."""
