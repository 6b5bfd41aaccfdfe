// The group membership a consumer had when its partitions were assigned, held for sending offsets to transactions.
// Made and freed on the main thread, read on the pool's while a call holds it.
// Keeps SPEC: KAFKA-2 (offsets ride in the transaction, with the membership of their assignment).
#pragma once
#include <nan.h>
#include <rdkafka.h>

#include <memory>

namespace millrace {

using GroupMetadata = std::shared_ptr<rd_kafka_consumer_group_metadata_t>;

class Group : public Nan::ObjectWrap {
 public:
  static void Define(v8::Local<v8::Object> exports);
  /** The JavaScript object over a membership. */
  static v8::Local<v8::Object> Make(GroupMetadata metadata);
  /** The membership behind a JavaScript value; empty when it is another object or released. */
  static GroupMetadata Of(v8::Local<v8::Value> value);

 private:
  static NAN_METHOD(New);
  static NAN_METHOD(Release);
  static Nan::Persistent<v8::FunctionTemplate>& Type();

  GroupMetadata metadata_;
};

}  // namespace millrace
