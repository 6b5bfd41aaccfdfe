// The calls of a transaction. Each blocks on a pool thread for its time-out at most; a failure carries librdkafka's flags.
// Keeps SPEC: KAFKA-2 (offsets ride in the transaction, with their metadata, which node-rdkafka's own call drops).
#include "call.h"
#include "client.h"
#include "group.h"
#include "offsets.h"

namespace millrace {
namespace {

using TransactionFunction = rd_kafka_error_t* (*)(rd_kafka_t*, int);

rd_kafka_error_t* Begin(rd_kafka_t* rk, int) { return rd_kafka_begin_transaction(rk); }

class TransactionCall : public Call {
 public:
  TransactionCall(Client* client, TransactionFunction function, int timeout_ms, v8::Local<v8::Function> callback)
      : Call(client, callback), function_(function), timeout_ms_(timeout_ms) {}

  void Run() override { failure_ = TakeFailure(function_(client_->rk(), timeout_ms_)); }

 private:
  const TransactionFunction function_;
  const int timeout_ms_;
};

class SendOffsetsCall : public Call {
 public:
  SendOffsetsCall(Client* client, Partitions offsets, GroupMetadata group, int timeout_ms,
                  v8::Local<v8::Function> callback)
      : Call(client, callback), offsets_(std::move(offsets)), group_(std::move(group)), timeout_ms_(timeout_ms) {}

  void Run() override {
    failure_ = TakeFailure(
        rd_kafka_send_offsets_to_transaction(client_->rk(), offsets_.get(), group_.get(), timeout_ms_));
  }

 private:
  const Partitions offsets_;
  const GroupMetadata group_;
  const int timeout_ms_;
};

void StartTransaction(const Nan::FunctionCallbackInfo<v8::Value>& info, TransactionFunction function) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  if (client->queue() != nullptr) return Nan::ThrowTypeError("transactions are for producers");
  Start(std::make_unique<TransactionCall>(client, function, Nan::To<int32_t>(info[0]).FromMaybe(0),
                                          info[1].As<v8::Function>()));
}

}  // namespace

NAN_METHOD(InitTransactionsMethod) { StartTransaction(info, rd_kafka_init_transactions); }
NAN_METHOD(BeginMethod) { StartTransaction(info, Begin); }
NAN_METHOD(CommitMethod) { StartTransaction(info, rd_kafka_commit_transaction); }
NAN_METHOD(AbortMethod) { StartTransaction(info, rd_kafka_abort_transaction); }

NAN_METHOD(SendOffsetsMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  GroupMetadata group = Group::Of(info[1]);
  if (group == nullptr) {
    Failure failure = FailureOf(client->rk(), RD_KAFKA_RESP_ERR__INVALID_ARG, "the group metadata is released");
    return ThrowFailure(failure);
  }
  Start(std::make_unique<SendOffsetsCall>(client, PartitionsOf(info[0]), group,
                                          Nan::To<int32_t>(info[2]).FromMaybe(0), info[3].As<v8::Function>()));
}

}  // namespace millrace
