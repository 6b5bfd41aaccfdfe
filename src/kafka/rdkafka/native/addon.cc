// The addon's module: what JavaScript gets from millrace_kafka.node. Main thread; loaded once a process (node-rdkafka
// cannot be loaded in a worker thread either).
#include <nan.h>
#include <rdkafka.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <thread>

#ifdef __GLIBC__
#include <malloc.h>
#endif

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

/**
 * librdkafka allocates a record on one thread and the poll frees it on another. glibc's default of 8 arenas a core then
 * keeps memory for each thread that ever was: 450 MB instead of 320 after a few clients, and 10 % more CPU a record.
 */
void LimitArenas() {
#ifdef __GLIBC__
  if (std::getenv("MALLOC_ARENA_MAX") != nullptr) return;
  mallopt(M_ARENA_MAX, static_cast<int>(std::max(2u, std::thread::hardware_concurrency())));
#endif
}

NAN_MODULE_INIT(Init) {
  LimitArenas();
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
