// The addon's module: what JavaScript gets from millrace_kafka.node. Main thread; loaded once a process (node-rdkafka
// cannot be loaded in a worker thread either).
#include <nan.h>
#include <rdkafka.h>

#include <bit>

#include "call.h"
#include "client.h"
#include "failure.h"
#include "group.h"

static_assert(std::endian::native == std::endian::little, "frames are little endian");

namespace millrace {
namespace {

/** The name of an error code, without prefix: `_TIMED_OUT`. */
NAN_METHOD(ErrorName) {
  const auto code = static_cast<rd_kafka_resp_err_t>(Nan::To<int32_t>(info[0]).FromMaybe(0));
  info.GetReturnValue().Set(ToJs(std::string(rd_kafka_err2name(code))));
}

/**
 * Lets go of a frame's memory now. Left to the garbage collector, megabytes behind tiny objects make it run full
 * collections all the time: a sixth of the CPU of a job at full speed.
 */
NAN_METHOD(FreeFrame) {
  auto frame = info[0].As<v8::ArrayBuffer>();
  if (info[0]->IsArrayBuffer() && frame->IsDetachable()) frame->Detach(v8::Local<v8::Value>()).Check();
}

NAN_MODULE_INIT(Init) {
  InitCalls();
  Group::Define(target);
  SetField(target, "NativeClient", Client::Define());
  SetField(target, "librdkafkaVersion", ToJs(std::string(rd_kafka_version_str())));
  Nan::SetMethod(target, "errorName", ErrorName);
  Nan::SetMethod(target, "freeFrame", FreeFrame);
}

}  // namespace

NODE_MODULE(millrace_kafka, Init)

}  // namespace millrace
