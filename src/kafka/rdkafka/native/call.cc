// The pool of threads for native calls and the way back to the main thread.
// A thread is made when none is idle, up to a limit; idle ones are kept. Everything shared is leaked on purpose: a thread
// may still be inside librdkafka when the process ends.
#include "call.h"

#include <uv.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "client.h"

namespace millrace {
namespace {

/** More calls than this wait for a thread. A job has under 20: polls, one producer call each, admin. */
constexpr size_t kThreadsMax = 64;

struct Pool {
  std::mutex lock;
  std::condition_variable has_work;
  std::deque<Call*> waiting;
  std::deque<Call*> ended;
  size_t thread_count = 0;
  size_t idle_count = 0;
  bool is_loop_gone = false;
  /** Main thread only: calls begun and not ended; the loop stays alive while there is one. */
  size_t out_count = 0;
  uv_async_t wake_main;
};

Pool& ThePool() {
  static Pool* pool = new Pool();
  return *pool;
}

void RunForever() {
  Pool& pool = ThePool();
  std::unique_lock<std::mutex> guard(pool.lock);
  for (;;) {
    pool.idle_count++;
    pool.has_work.wait(guard, [&pool] { return !pool.waiting.empty(); });
    pool.idle_count--;
    Call* call = pool.waiting.front();
    pool.waiting.pop_front();
    guard.unlock();
    call->Run();
    guard.lock();
    pool.ended.push_back(call);
    if (!pool.is_loop_gone) uv_async_send(&pool.wake_main);
  }
}

void EndCalls(uv_async_t*) {
  Pool& pool = ThePool();
  std::deque<Call*> ended;
  {
    std::lock_guard<std::mutex> guard(pool.lock);
    ended.swap(pool.ended);
  }
  for (Call* call : ended) {
    std::unique_ptr<Call> owned(call);
    if (--pool.out_count == 0) uv_unref(reinterpret_cast<uv_handle_t*>(&pool.wake_main));
    owned->End();
  }
}

void LoopIsGone(void*) {
  Pool& pool = ThePool();
  std::lock_guard<std::mutex> guard(pool.lock);
  pool.is_loop_gone = true;
}

}  // namespace

Call::Call(Client* client, v8::Local<v8::Function> callback)
    : client_(client), callback_(callback), resource_("millrace:kafka") {
  client_->TakeLease();
}

Call::~Call() = default;

void Call::End() {
  Nan::HandleScope scope;
  v8::Local<v8::Value> arguments[2] = {Nan::Undefined(), Nan::Undefined()};
  if (failure_) {
    arguments[0] = ToJs(failure_);
  } else {
    arguments[1] = Result();
  }
  // Before the callback: what runs there may close the client.
  Ended();
  client_->ReturnLease();
  callback_.Call(2, arguments, &resource_);
}

void Start(std::unique_ptr<Call> call) {
  Pool& pool = ThePool();
  if (pool.out_count++ == 0) uv_ref(reinterpret_cast<uv_handle_t*>(&pool.wake_main));
  std::lock_guard<std::mutex> guard(pool.lock);
  pool.waiting.push_back(call.release());
  if (pool.idle_count < pool.waiting.size() && pool.thread_count < kThreadsMax) {
    pool.thread_count++;
    std::thread(RunForever).detach();
  }
  pool.has_work.notify_one();
}

void InitCalls() {
  Pool& pool = ThePool();
  uv_async_init(Nan::GetCurrentEventLoop(), &pool.wake_main, EndCalls);
  uv_unref(reinterpret_cast<uv_handle_t*>(&pool.wake_main));
  node::AddEnvironmentCleanupHook(v8::Isolate::GetCurrent(), LoopIsGone, nullptr);
}

}  // namespace millrace
