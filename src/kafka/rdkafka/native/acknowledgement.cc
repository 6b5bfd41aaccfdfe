// The addon as a plugin of librdkafka (setting `plugin.library.paths`): `conf_init` hooks every producer that is made with
// it, so that the addon hears of each record's fate at once, on librdkafka's thread, with its error code.
// node-rdkafka's own delivery reports come later, through the event loop, and carry a text only.
#include "acknowledgement.h"

#include <chrono>
#include <unordered_map>

namespace millrace {
namespace {

/** Failures kept between two calls of `failures()`; a record more is counted by its error all the same. */
constexpr size_t kFailuresMax = 10'000;
constexpr const char* kInterceptorName = "millrace";

struct Registry {
  std::mutex lock;
  std::unordered_map<rd_kafka_t*, std::shared_ptr<Acknowledgements>> of;
};

/** Leaked on purpose: librdkafka's threads outlive the static destructors. */
Registry& TheRegistry() {
  static Registry* registry = new Registry();
  return *registry;
}

rd_kafka_resp_err_t OnAcknowledgement(rd_kafka_t*, rd_kafka_message_t* message, void* opaque) {
  static_cast<Acknowledgements*>(opaque)->Add(message);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t OnDestroy(rd_kafka_t* rk, void*) {
  Registry& registry = TheRegistry();
  std::lock_guard<std::mutex> guard(registry.lock);
  registry.of.erase(rk);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/**
 * Belongs to one configuration, and to the producer that takes it over: librdkafka destroys that last, when its threads
 * have ended. (`on_destroy` comes first, and records that are purged after it are still acknowledged.)
 */
struct Holder {
  std::shared_ptr<Acknowledgements> acknowledgements;
};

rd_kafka_resp_err_t OnConfDestroy(void* holder) {
  delete static_cast<Holder*>(holder);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t OnNew(rd_kafka_t* rk, const rd_kafka_conf_t*, void* holder, char*, size_t) {
  if (rd_kafka_type(rk) != RD_KAFKA_PRODUCER) return RD_KAFKA_RESP_ERR_NO_ERROR;
  auto acknowledgements = std::make_shared<Acknowledgements>();
  static_cast<Holder*>(holder)->acknowledgements = acknowledgements;
  Registry& registry = TheRegistry();
  {
    std::lock_guard<std::mutex> guard(registry.lock);
    registry.of[rk] = acknowledgements;
  }
  rd_kafka_interceptor_add_on_destroy(rk, kInterceptorName, OnDestroy, nullptr);
  return rd_kafka_interceptor_add_on_acknowledgement(rk, kInterceptorName, OnAcknowledgement, acknowledgements.get());
}

}  // namespace

void Acknowledgements::Add(const rd_kafka_message_t* message) {
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    std::lock_guard<std::mutex> guard(lock_);
    if (failures_.size() < kFailuresMax) {
      DeliveryFailure& kept = failures_.emplace_back();
      kept.failure.code = message->err;
      kept.failure.message = rd_kafka_err2str(message->err);
      kept.failure.topic = message->rkt == nullptr ? "" : rd_kafka_topic_name(message->rkt);
      kept.failure.partition = message->partition;
      kept.failure.has_partition = true;
      kept.has_key = message->key != nullptr;
      if (kept.has_key) kept.key.assign(static_cast<const char*>(message->key), message->key_len);
    }
  }
  acknowledged_.fetch_add(1);
  if (waiting_.load() > 0 && IsDone()) Wake();
}

void Acknowledgements::Wake() {
  std::lock_guard<std::mutex> guard(lock_);
  changed_.notify_all();
}

bool Acknowledgements::WaitForAll(int wait_ms) {
  std::unique_lock<std::mutex> guard(lock_);
  waiting_.fetch_add(1);
  const bool is_done = IsDone() || changed_.wait_for(guard, std::chrono::milliseconds(wait_ms)) ==
                                       std::cv_status::no_timeout;
  waiting_.fetch_sub(1);
  return is_done && IsDone();
}

std::vector<DeliveryFailure> Acknowledgements::Take() {
  std::lock_guard<std::mutex> guard(lock_);
  std::vector<DeliveryFailure> taken;
  taken.swap(failures_);
  return taken;
}

Failure Acknowledgements::First() {
  std::lock_guard<std::mutex> guard(lock_);
  return failures_.empty() ? Failure() : failures_.front().failure;
}

std::shared_ptr<Acknowledgements> AcknowledgementsOf(rd_kafka_t* rk) {
  Registry& registry = TheRegistry();
  std::lock_guard<std::mutex> guard(registry.lock);
  auto found = registry.of.find(rk);
  return found == registry.of.end() ? nullptr : found->second;
}

}  // namespace millrace

/** Called by librdkafka when a configuration names this file in `plugin.library.paths`. */
extern "C" __attribute__((visibility("default"))) rd_kafka_resp_err_t conf_init(rd_kafka_conf_t* conf, void** opaque,
                                                                                char*, size_t) {
  *opaque = nullptr;
  auto* holder = new millrace::Holder();
  rd_kafka_conf_interceptor_add_on_conf_destroy(conf, millrace::kInterceptorName, millrace::OnConfDestroy, holder);
  return rd_kafka_conf_interceptor_add_on_new(conf, millrace::kInterceptorName, millrace::OnNew, holder);
}
