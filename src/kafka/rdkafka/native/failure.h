// A failed Kafka call as data: KafkaFailure of src/kafka/port.ts. Made on any thread, turned into JavaScript on the main one.
// Keeps SPEC: ERR-2 (nobody matches on messages): code and flags come from librdkafka's own error objects.
#pragma once
#include <nan.h>
#include <rdkafka.h>

#include <string>

namespace millrace {

struct Failure {
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::string message;
  bool is_fatal = false;
  bool is_retriable = false;
  bool requires_abort = false;
  std::string topic;
  int32_t partition = -1;
  bool has_partition = false;
  /** Which of several frames of a produce call failed. */
  int frame_index = -1;

  explicit operator bool() const { return code != RD_KAFKA_RESP_ERR_NO_ERROR; }
};

/** From an error object, which is destroyed; nullptr gives no failure. */
Failure TakeFailure(rd_kafka_error_t* error);

/** From a bare code. `_FATAL` is replaced by the client's first fatal error. */
Failure FailureOf(rd_kafka_t* rk, rd_kafka_resp_err_t code, const char* message = nullptr);

/** The client's fatal error, if there is one. */
Failure FatalFailure(rd_kafka_t* rk);

v8::Local<v8::Object> ToJs(const Failure& failure);

/** Main thread: throws the failure's object into JavaScript. */
void ThrowFailure(const Failure& failure);

/** Sets `object[name] = value`; names are literals. */
void SetField(v8::Local<v8::Object> object, const char* name, v8::Local<v8::Value> value);

v8::Local<v8::String> ToJs(const std::string& text);
std::string ToStdString(v8::Local<v8::Value> value);

}  // namespace millrace
