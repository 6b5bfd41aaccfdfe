// Failures: from librdkafka's error objects to KafkaFailure of src/kafka/port.ts. Any thread; ToJs on the main one.
// Keeps SPEC: ERR-2 (nobody matches on messages).
#include "failure.h"

namespace millrace {

Failure TakeFailure(rd_kafka_error_t* error) {
  Failure failure;
  if (error == nullptr) return failure;
  failure.code = rd_kafka_error_code(error);
  failure.message = rd_kafka_error_string(error);
  failure.is_fatal = rd_kafka_error_is_fatal(error);
  failure.is_retriable = rd_kafka_error_is_retriable(error);
  failure.requires_abort = rd_kafka_error_txn_requires_abort(error);
  rd_kafka_error_destroy(error);
  return failure;
}

Failure FatalFailure(rd_kafka_t* rk) {
  Failure failure;
  char text[512];
  failure.code = rd_kafka_fatal_error(rk, text, sizeof(text));
  if (!failure) return failure;
  failure.message = text;
  failure.is_fatal = true;
  return failure;
}

Failure FailureOf(rd_kafka_t* rk, rd_kafka_resp_err_t code, const char* message) {
  if (code == RD_KAFKA_RESP_ERR__FATAL) {
    Failure fatal = FatalFailure(rk);
    if (fatal) return fatal;
  }
  Failure failure;
  failure.code = code;
  failure.message = message != nullptr && *message != '\0' ? message : rd_kafka_err2str(code);
  return failure;
}

v8::Local<v8::String> ToJs(const std::string& text) {
  return v8::String::NewFromUtf8(v8::Isolate::GetCurrent(), text.data(), v8::NewStringType::kNormal,
                                 static_cast<int>(text.size()))
      .ToLocalChecked();
}

std::string ToStdString(v8::Local<v8::Value> value) {
  Nan::Utf8String text(value);
  return *text == nullptr ? std::string() : std::string(*text, text.length());
}

void SetField(v8::Local<v8::Object> object, const char* name, v8::Local<v8::Value> value) {
  v8::Isolate* isolate = v8::Isolate::GetCurrent();
  v8::Local<v8::String> key =
      v8::String::NewFromUtf8(isolate, name, v8::NewStringType::kInternalized).ToLocalChecked();
  object->Set(isolate->GetCurrentContext(), key, value).Check();
}

v8::Local<v8::Object> ToJs(const Failure& failure) {
  Nan::EscapableHandleScope scope;
  v8::Local<v8::Object> object = Nan::New<v8::Object>();
  SetField(object, "code", Nan::New<v8::Number>(failure.code));
  SetField(object, "name", ToJs(std::string(rd_kafka_err2name(failure.code))));
  SetField(object, "message", ToJs(failure.message));
  SetField(object, "isFatal", Nan::New(failure.is_fatal));
  SetField(object, "isRetriable", Nan::New(failure.is_retriable));
  SetField(object, "requiresAbort", Nan::New(failure.requires_abort));
  if (!failure.topic.empty()) SetField(object, "topic", ToJs(failure.topic));
  if (failure.has_partition) SetField(object, "partition", Nan::New(failure.partition));
  if (failure.frame_index >= 0) SetField(object, "frameIndex", Nan::New(failure.frame_index));
  return scope.Escape(object);
}

void ThrowFailure(const Failure& failure) { Nan::ThrowError(ToJs(failure).As<v8::Value>()); }

}  // namespace millrace
