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

NAN_MODULE_INIT(Init) {
  InitCalls();
  Group::Define(target);
  SetField(target, "NativeClient", Client::Define());
  SetField(target, "librdkafkaVersion", ToJs(std::string(rd_kafka_version_str())));
  Nan::SetMethod(target, "errorName", ErrorName);
}

}  // namespace

NODE_MODULE(millrace_kafka, Init)

}  // namespace millrace
