// Counts a producer's deliveries and keeps the failed ones, told by librdkafka's acknowledgement interceptor.
// Written by librdkafka's threads, read by the pool's and the main thread.
// Keeps SPEC: NATIVE-2 (no delivery failure is lost, and a flush knows of all of them when it returns).
#pragma once
#include <rdkafka.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "failure.h"

namespace millrace {

struct DeliveryFailure {
  Failure failure;
  bool has_key = false;
  std::string key;
};

class Acknowledgements {
 public:
  /** librdkafka's thread, for each record whose fate is known. */
  void Add(const rd_kafka_message_t* message);

  /** Pool thread: `count` more records were accepted by the client. */
  void Expect(uint64_t count) { expected_.fetch_add(count, std::memory_order_relaxed); }

  /** Pool thread: waits until the fate of all expected records is known, or the time is over, or `Wake`. */
  bool WaitForAll(int wait_ms);
  void Wake();

  /** The failures so far; the first of them stays known as `First` until taken. */
  std::vector<DeliveryFailure> Take();
  Failure First();

 private:
  bool IsDone() const { return acknowledged_.load() >= expected_.load(); }

  std::atomic<uint64_t> expected_{0};
  std::atomic<uint64_t> acknowledged_{0};
  std::atomic<int> waiting_{0};
  std::mutex lock_;
  std::condition_variable changed_;
  std::vector<DeliveryFailure> failures_;
};

/** The counts of a producer that was made with this addon as its plugin; nullptr of another. */
std::shared_ptr<Acknowledgements> AcknowledgementsOf(rd_kafka_t* rk);

}  // namespace millrace
