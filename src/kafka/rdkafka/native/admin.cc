// Topics: describe, settings, create, delete; members of a group. Each call waits on a pool thread for its answer, within its time-out.
#include <cstring>

#include "call.h"
#include "client.h"
#include "offsets.h"

// rdkafka.h takes its export macro back at its end; on the importing side it is empty.
#define RD_EXPORT
#include <rdkafka_mock.h>
#undef RD_EXPORT

namespace millrace {
namespace {

std::vector<std::string> StringsOf(v8::Local<v8::Value> value) {
  v8::Local<v8::Array> list = value.As<v8::Array>();
  std::vector<std::string> strings;
  for (uint32_t i = 0; i < list->Length(); i++) strings.push_back(ToStdString(Nan::Get(list, i).ToLocalChecked()));
  return strings;
}

v8::Local<v8::Value> FieldOf(v8::Local<v8::Object> object, const char* name) {
  return Nan::Get(object, Nan::New(name).ToLocalChecked()).ToLocalChecked();
}

/** One admin request: asks, waits for the event, reads it. */
class AdminCall : public Call {
 public:
  AdminCall(Client* client, rd_kafka_admin_op_t operation, int timeout_ms, v8::Local<v8::Function> callback)
      : Call(client, callback), operation_(operation), timeout_ms_(timeout_ms) {}

  void Run() override {
    rd_kafka_t* rk = client_->rk();
    rd_kafka_queue_t* answers = rd_kafka_queue_new(rk);
    rd_kafka_AdminOptions_t* options = rd_kafka_AdminOptions_new(rk, operation_);
    char text[256];
    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms_, text, sizeof(text));
    if (operation_ == RD_KAFKA_ADMIN_OP_CREATETOPICS || operation_ == RD_KAFKA_ADMIN_OP_DELETETOPICS) {
      // Until the controller says that the topic is there, or gone.
      rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms_, text, sizeof(text));
    }
    Ask(rk, options, answers);
    rd_kafka_event_t* event = failure_ ? nullptr : rd_kafka_queue_poll(answers, timeout_ms_ + 1000);
    ReadEvent(event);
    if (event != nullptr) rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(answers);
  }

 protected:
  virtual void Ask(rd_kafka_t* rk, rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* answers) = 0;
  virtual void Read(rd_kafka_event_t* event) = 0;

  /** Keeps the first failure of several topics, but not one that the caller takes as done. */
  void NoteTopicResult(const rd_kafka_topic_result_t* result, rd_kafka_resp_err_t accepted) {
    const rd_kafka_resp_err_t code = rd_kafka_topic_result_error(result);
    if (failure_ || code == RD_KAFKA_RESP_ERR_NO_ERROR || code == accepted) return;
    failure_ = FailureOf(client_->rk(), code, rd_kafka_topic_result_error_string(result));
    failure_.topic = rd_kafka_topic_result_name(result);
  }

 private:
  void ReadEvent(rd_kafka_event_t* event) {
    if (failure_) return;
    if (event == nullptr) {
      failure_ = FailureOf(client_->rk(), RD_KAFKA_RESP_ERR__TIMED_OUT);
    } else if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
      failure_ = FailureOf(client_->rk(), rd_kafka_event_error(event), rd_kafka_event_error_string(event));
    } else {
      Read(event);
    }
  }

  const rd_kafka_admin_op_t operation_;
  const int timeout_ms_;
};

class DescribeTopicsCall : public AdminCall {
 public:
  DescribeTopicsCall(Client* client, std::vector<std::string> names, int timeout_ms, v8::Local<v8::Function> callback)
      : AdminCall(client, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout_ms, callback), names_(std::move(names)) {}

 protected:
  void Ask(rd_kafka_t* rk, rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* answers) override {
    std::vector<const char*> names;
    for (const std::string& name : names_) names.push_back(name.c_str());
    rd_kafka_TopicCollection_t* topics = rd_kafka_TopicCollection_of_topic_names(names.data(), names.size());
    rd_kafka_error_destroy(rd_kafka_AdminOptions_set_include_authorized_operations(options, 1));
    rd_kafka_DescribeTopics(rk, topics, options, answers);
    rd_kafka_TopicCollection_destroy(topics);
  }

  void Read(rd_kafka_event_t* event) override {
    size_t count = 0;
    const rd_kafka_TopicDescription_t** topics =
        rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event), &count);
    for (size_t i = 0; i < count && !failure_; i++) ReadTopic(topics[i]);
  }

  v8::Local<v8::Value> Result() override {
    v8::Local<v8::Array> list = Nan::New<v8::Array>(static_cast<int>(found_.size()));
    for (uint32_t i = 0; i < found_.size(); i++) {
      v8::Local<v8::Object> topic = Nan::New<v8::Object>();
      SetField(topic, "name", ToJs(found_[i].name));
      SetField(topic, "partitionCount", Nan::New(found_[i].partition_count));
      SetField(topic, "topicId", found_[i].id.empty() ? Nan::Undefined().As<v8::Value>() : ToJs(found_[i].id).As<v8::Value>());
      if (found_[i].has_operations) SetField(topic, "operations", NamesToJs(found_[i].operations));
      Nan::Set(list, i, topic);
    }
    return list;
  }

 private:
  struct Found {
    std::string name;
    uint32_t partition_count;
    std::string id;
    bool has_operations;
    /** Names of librdkafka's, which live for ever. */
    std::vector<const char*> operations;
  };

  static v8::Local<v8::Array> NamesToJs(const std::vector<const char*>& names) {
    v8::Local<v8::Array> list = Nan::New<v8::Array>(static_cast<int>(names.size()));
    for (uint32_t i = 0; i < names.size(); i++) Nan::Set(list, i, ToJs(std::string(names[i])));
    return list;
  }

  void ReadTopic(const rd_kafka_TopicDescription_t* topic) {
    const rd_kafka_error_t* error = rd_kafka_TopicDescription_error(topic);
    const rd_kafka_resp_err_t code = error == nullptr ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(error);
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) return;
    if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
      found_.push_back({rd_kafka_TopicDescription_name(topic), 0, "", true, {}});
      return;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
      failure_ = FailureOf(client_->rk(), code, rd_kafka_error_string(error));
      failure_.topic = rd_kafka_TopicDescription_name(topic);
      return;
    }
    size_t partition_count = 0;
    rd_kafka_TopicDescription_partitions(topic, &partition_count);
    const rd_kafka_Uuid_t* id = rd_kafka_TopicDescription_topic_id(topic);
    const bool has_id = id != nullptr && (rd_kafka_Uuid_most_significant_bits(id) != 0 ||
                                          rd_kafka_Uuid_least_significant_bits(id) != 0);
    found_.push_back({rd_kafka_TopicDescription_name(topic), static_cast<uint32_t>(partition_count),
                      has_id ? rd_kafka_Uuid_base64str(id) : "", false, {}});
    size_t operation_count = 0;
    const rd_kafka_AclOperation_t* operations =
        rd_kafka_TopicDescription_authorized_operations(topic, &operation_count);
    found_.back().has_operations = operations != nullptr;
    for (size_t i = 0; i < operation_count; i++) {
      found_.back().operations.push_back(rd_kafka_AclOperation_name(operations[i]));
    }
  }

  const std::vector<std::string> names_;
  std::vector<Found> found_;
};

class DescribeConfigCall : public AdminCall {
 public:
  DescribeConfigCall(Client* client, std::string topic, int timeout_ms, v8::Local<v8::Function> callback)
      : AdminCall(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout_ms, callback), topic_(std::move(topic)) {}

 protected:
  void Ask(rd_kafka_t* rk, rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* answers) override {
    rd_kafka_ConfigResource_t* resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic_.c_str());
    rd_kafka_DescribeConfigs(rk, &resource, 1, options, answers);
    rd_kafka_ConfigResource_destroy(resource);
  }

  void Read(rd_kafka_event_t* event) override {
    size_t count = 0;
    const rd_kafka_ConfigResource_t** resources =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
    if (count != 1) return;
    failure_ = FailureOf(client_->rk(), rd_kafka_ConfigResource_error(resources[0]),
                         rd_kafka_ConfigResource_error_string(resources[0]));
    failure_.topic = topic_;
    const rd_kafka_ConfigEntry_t** entries = rd_kafka_ConfigResource_configs(resources[0], &count);
    for (size_t i = 0; !failure_ && i < count; i++) {
      const char* value = rd_kafka_ConfigEntry_value(entries[i]);
      entries_.emplace_back(rd_kafka_ConfigEntry_name(entries[i]), value == nullptr ? "" : value);
    }
  }

  v8::Local<v8::Value> Result() override {
    v8::Local<v8::Object> result = Nan::New<v8::Object>();
    for (const auto& [name, value] : entries_) Nan::Set(result, ToJs(name), ToJs(value));
    return result;
  }

 private:
  const std::string topic_;
  std::vector<std::pair<std::string, std::string>> entries_;
};

struct WantedTopic {
  std::string name;
  int partition_count;
  int replication_factor;
  std::vector<std::pair<std::string, std::string>> config;
};

class CreateTopicsCall : public AdminCall {
 public:
  CreateTopicsCall(Client* client, std::vector<WantedTopic> topics, int timeout_ms, v8::Local<v8::Function> callback)
      : AdminCall(client, RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout_ms, callback), topics_(std::move(topics)) {}

 protected:
  void Ask(rd_kafka_t* rk, rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* answers) override {
    std::vector<rd_kafka_NewTopic_t*> wanted;
    for (const WantedTopic& topic : topics_) {
      if (rd_kafka_NewTopic_t* made = Make(topic)) wanted.push_back(made);
    }
    if (!failure_) rd_kafka_CreateTopics(rk, wanted.data(), wanted.size(), options, answers);
    rd_kafka_NewTopic_destroy_array(wanted.data(), wanted.size());
  }

  void Read(rd_kafka_event_t* event) override {
    size_t count = 0;
    const rd_kafka_topic_result_t** results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count; i++) NoteTopicResult(results[i], RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS);
  }

 private:
  rd_kafka_NewTopic_t* Make(const WantedTopic& topic) {
    char text[256];
    rd_kafka_NewTopic_t* made = rd_kafka_NewTopic_new(topic.name.c_str(), topic.partition_count,
                                                      topic.replication_factor, text, sizeof(text));
    if (made == nullptr) {
      failure_ = FailureOf(client_->rk(), RD_KAFKA_RESP_ERR__INVALID_ARG, text);
      failure_.topic = topic.name;
      return nullptr;
    }
    for (const auto& [name, value] : topic.config) rd_kafka_NewTopic_set_config(made, name.c_str(), value.c_str());
    return made;
  }

  const std::vector<WantedTopic> topics_;
};

class DeleteTopicsCall : public AdminCall {
 public:
  DeleteTopicsCall(Client* client, std::vector<std::string> names, int timeout_ms, v8::Local<v8::Function> callback)
      : AdminCall(client, RD_KAFKA_ADMIN_OP_DELETETOPICS, timeout_ms, callback), names_(std::move(names)) {}

 protected:
  void Ask(rd_kafka_t* rk, rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* answers) override {
    std::vector<rd_kafka_DeleteTopic_t*> topics;
    for (const std::string& name : names_) topics.push_back(rd_kafka_DeleteTopic_new(name.c_str()));
    rd_kafka_DeleteTopics(rk, topics.data(), topics.size(), options, answers);
    rd_kafka_DeleteTopic_destroy_array(topics.data(), topics.size());
  }

  void Read(rd_kafka_event_t* event) override {
    size_t count = 0;
    const rd_kafka_topic_result_t** results =
        rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    for (size_t i = 0; i < count; i++) NoteTopicResult(results[i], RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  }

 private:
  const std::vector<std::string> names_;
};

class GroupMembersCall : public AdminCall {
 public:
  GroupMembersCall(Client* client, std::string group_id, int timeout_ms, v8::Local<v8::Function> callback)
      : AdminCall(client, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, timeout_ms, callback),
        group_id_(std::move(group_id)) {}

 protected:
  void Ask(rd_kafka_t* rk, rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* answers) override {
    const char* group_id = group_id_.c_str();
    rd_kafka_DescribeConsumerGroups(rk, &group_id, 1, options, answers);
  }

  void Read(rd_kafka_event_t* event) override {
    size_t count = 0;
    const rd_kafka_ConsumerGroupDescription_t** groups =
        rd_kafka_DescribeConsumerGroups_result_groups(rd_kafka_event_DescribeConsumerGroups_result(event), &count);
    if (count != 1) {
      failure_ = FailureOf(client_->rk(), RD_KAFKA_RESP_ERR__BAD_MSG);
      return;
    }
    const rd_kafka_error_t* error = rd_kafka_ConsumerGroupDescription_error(groups[0]);
    const rd_kafka_resp_err_t code = error == nullptr ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(error);
    // A group that nobody ever joined has no members.
    if (code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) return;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
      failure_ = FailureOf(client_->rk(), code, rd_kafka_error_string(error));
      return;
    }
    const size_t member_count = rd_kafka_ConsumerGroupDescription_member_count(groups[0]);
    for (size_t i = 0; i < member_count; i++) ReadMember(rd_kafka_ConsumerGroupDescription_member(groups[0], i));
  }

  v8::Local<v8::Value> Result() override {
    v8::Local<v8::Array> list = Nan::New<v8::Array>(static_cast<int>(members_.size()));
    for (uint32_t i = 0; i < members_.size(); i++) {
      v8::Local<v8::Object> member = Nan::New<v8::Object>();
      const std::string& instance_id = members_[i].instance_id;
      SetField(member, "memberId", ToJs(members_[i].member_id));
      SetField(member, "instanceId",
               instance_id.empty() ? Nan::Undefined().As<v8::Value>() : ToJs(instance_id).As<v8::Value>());
      SetField(member, "host", ToJs(members_[i].host));
      Nan::Set(list, i, member);
    }
    return list;
  }

 private:
  struct Member {
    std::string member_id;
    /** Empty for a dynamic member. */
    std::string instance_id;
    std::string host;
  };

  static std::string TextOf(const char* text) { return text == nullptr ? std::string() : std::string(text); }

  void ReadMember(const rd_kafka_MemberDescription_t* member) {
    members_.push_back({TextOf(rd_kafka_MemberDescription_consumer_id(member)),
                        TextOf(rd_kafka_MemberDescription_group_instance_id(member)),
                        TextOf(rd_kafka_MemberDescription_host(member))});
  }

  const std::string group_id_;
  std::vector<Member> members_;
};

/** Deletes the records of partitions before an offset each. */
class DeleteRecordsCall : public AdminCall {
 public:
  DeleteRecordsCall(Client* client, Partitions before, int timeout_ms, v8::Local<v8::Function> callback)
      : AdminCall(client, RD_KAFKA_ADMIN_OP_DELETERECORDS, timeout_ms, callback), before_(std::move(before)) {}

 protected:
  void Ask(rd_kafka_t* rk, rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* answers) override {
    rd_kafka_DeleteRecords_t* records = rd_kafka_DeleteRecords_new(before_.get());
    rd_kafka_DeleteRecords(rk, &records, 1, options, answers);
    rd_kafka_DeleteRecords_destroy(records);
  }

  void Read(rd_kafka_event_t* event) override {
    const rd_kafka_topic_partition_list_t* done =
        rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
    for (int i = 0; !failure_ && i < done->cnt; i++) {
      failure_ = FailureOf(client_->rk(), done->elems[i].err);
      failure_.topic = done->elems[i].topic;
      failure_.partition = done->elems[i].partition;
      failure_.has_partition = true;
    }
  }

 private:
  const Partitions before_;
};

std::vector<WantedTopic> WantedOf(v8::Local<v8::Value> value) {
  v8::Local<v8::Array> list = value.As<v8::Array>();
  std::vector<WantedTopic> topics;
  for (uint32_t i = 0; i < list->Length(); i++) {
    v8::Local<v8::Object> item = Nan::Get(list, i).ToLocalChecked().As<v8::Object>();
    WantedTopic& topic = topics.emplace_back();
    topic.name = ToStdString(FieldOf(item, "name"));
    topic.partition_count = Nan::To<int32_t>(FieldOf(item, "partitionCount")).FromMaybe(0);
    topic.replication_factor = Nan::To<int32_t>(FieldOf(item, "replicationFactor")).FromMaybe(-1);
    v8::Local<v8::Object> config = FieldOf(item, "config").As<v8::Object>();
    v8::Local<v8::Array> names = Nan::GetOwnPropertyNames(config).ToLocalChecked();
    for (uint32_t n = 0; n < names->Length(); n++) {
      v8::Local<v8::Value> name = Nan::Get(names, n).ToLocalChecked();
      topic.config.emplace_back(ToStdString(name), ToStdString(Nan::Get(config, name).ToLocalChecked()));
    }
  }
  return topics;
}

int TimeoutOf(v8::Local<v8::Value> value) { return Nan::To<int32_t>(value).FromMaybe(0); }

}  // namespace

NAN_METHOD(DescribeTopicsMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  Start(std::make_unique<DescribeTopicsCall>(client, StringsOf(info[0]), TimeoutOf(info[1]), info[2].As<v8::Function>()));
}

NAN_METHOD(DescribeConfigMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  Start(std::make_unique<DescribeConfigCall>(client, ToStdString(info[0]), TimeoutOf(info[1]), info[2].As<v8::Function>()));
}

NAN_METHOD(CreateTopicsMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  Start(std::make_unique<CreateTopicsCall>(client, WantedOf(info[0]), TimeoutOf(info[1]), info[2].As<v8::Function>()));
}

NAN_METHOD(DeleteRecordsMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  Start(std::make_unique<DeleteRecordsCall>(client, PartitionsOf(info[0]), TimeoutOf(info[1]), info[2].As<v8::Function>()));
}

NAN_METHOD(DeleteTopicsMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  Start(std::make_unique<DeleteTopicsCall>(client, StringsOf(info[0]), TimeoutOf(info[1]), info[2].As<v8::Function>()));
}

NAN_METHOD(GroupMembersMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  Start(std::make_unique<GroupMembersCall>(client, ToStdString(info[0]), TimeoutOf(info[1]), info[2].As<v8::Function>()));
}

NAN_METHOD(MockTopicMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  rd_kafka_mock_cluster_t* cluster = rd_kafka_handle_mock_cluster(client->rk());
  if (cluster == nullptr) return Nan::ThrowTypeError("this client owns no mock cluster");
  const rd_kafka_resp_err_t code =
      rd_kafka_mock_topic_create(cluster, ToStdString(info[0]).c_str(), Nan::To<int32_t>(info[1]).FromMaybe(0),
                                 Nan::To<int32_t>(info[2]).FromMaybe(1));
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) ThrowFailure(FailureOf(client->rk(), code));
}

}  // namespace millrace
