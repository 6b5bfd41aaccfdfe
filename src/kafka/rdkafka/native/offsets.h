// Lists of partitions with offsets, between JavaScript and librdkafka. Main thread.
#pragma once
#include <nan.h>
#include <rdkafka.h>

#include <memory>

namespace millrace {

struct DestroyPartitions {
  void operator()(rd_kafka_topic_partition_list_t* list) const { rd_kafka_topic_partition_list_destroy(list); }
};
using Partitions = std::unique_ptr<rd_kafka_topic_partition_list_t, DestroyPartitions>;

/** From `{ topic, partition, offset?, metadata? }[]`. */
Partitions PartitionsOf(v8::Local<v8::Value> list);

/** To `CommittedOffset[]`: an offset that is none becomes undefined. */
v8::Local<v8::Array> CommittedToJs(const rd_kafka_topic_partition_list_t* list);

}  // namespace millrace
