"""Says on Huzhu's broker that a provider is closed, or that it is open again.

    apt install python3-pika        (or: pip install pika)
    python3 publish-closure.py amqp://clinic-rota:…@broker.example/huzhu 6f9619ff-8b86-4d01-b42d-00cf4fc964ff closed
    python3 publish-closure.py amqp://clinic-rota:…@broker.example/huzhu 6f9619ff-8b86-4d01-b42d-00cf4fc964ff reopened
"""
import datetime
import json
import sys
import uuid

import pika

broker, provider, word = sys.argv[1:4]
event = {
    "specversion": "1.0",
    "id": str(uuid.uuid4()),  # the same event sent again keeps its id
    "source": "//clinic.example/rota",
    "type": f"org.huzhu.provider.{word}.v1",
    "subject": provider,
    "time": datetime.datetime.now(datetime.timezone.utc).isoformat(),
}
data = {"reason": "lockdown" if word == "closed" else "the measure is over"}

if word == "closed":
    # Binary mode: the attributes are headers, the body is the data.
    body = json.dumps(data)
    properties = pika.BasicProperties(
        content_type="application/json", delivery_mode=2, headers={f"cloudEvents_{name}": value for name, value in event.items()})
else:
    # Structured mode: the whole event is the body. Either mode does for either word.
    body = json.dumps({**event, "datacontenttype": "application/json", "data": data})
    properties = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)

connection = pika.BlockingConnection(pika.URLParameters(broker))
channel = connection.channel()
channel.confirm_delivery()  # basic_publish returns after the broker's confirm, or raises
channel.basic_publish("huzhu.providers", f"{provider}.{word}", body, properties, mandatory=True)  # raises when no queue takes it
connection.close()
