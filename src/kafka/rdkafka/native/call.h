// One asynchronous native call: runs on a thread of the addon's own pool, ends on the main thread.
// The pool is our own so that a poll that waits never holds one of libuv's four threads.
// Keeps SPEC: NATIVE-1 (every native call holds a counted lease on its client).
#pragma once
#include <nan.h>

#include <memory>

#include "failure.h"

namespace millrace {

class Client;

class Call {
 public:
  /** Main thread. Takes a lease on the client until the call has ended. */
  Call(Client* client, v8::Local<v8::Function> callback);
  virtual ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  /** Pool thread: the blocking work; sets `failure` or keeps what `Result` needs. No V8 here. */
  virtual void Run() = 0;

  /** Main thread: calls back with (failure | undefined, result | undefined) and returns the lease. */
  void End();

 protected:
  /** Main thread: what the callback gets when nothing failed. */
  virtual v8::Local<v8::Value> Result() { return Nan::Undefined(); }
  /** Main thread: the call is over, whatever came out; before the callback. */
  virtual void Ended() {}

  Client* const client_;
  Failure failure_;

 private:
  Nan::Callback callback_;
  Nan::AsyncResource resource_;
};

/** Main thread: hands the call to the pool. */
void Start(std::unique_ptr<Call> call);

/** Main thread, once: prepares the way back to the event loop. */
void InitCalls();

}  // namespace millrace
