// SASL OAUTHBEARER: hands a token to librdkafka, which shows it at new connections and when a session is prolonged. Main
// thread; does not block. Keeps SPEC: SECURE-3.
#include "client.h"
#include "failure.h"

namespace millrace {

NAN_METHOD(SetTokenMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  const std::string token = ToStdString(info[0]);
  const int64_t expires_at_ms = static_cast<int64_t>(Nan::To<double>(info[1]).FromMaybe(0));
  v8::Local<v8::Array> list = info[2].As<v8::Array>();
  std::vector<std::string> extensions;
  for (uint32_t i = 0; i < list->Length(); i++) extensions.push_back(ToStdString(Nan::Get(list, i).ToLocalChecked()));
  std::vector<const char*> pointers;
  for (const std::string& extension : extensions) pointers.push_back(extension.c_str());
  char text[512] = "";
  // The principal is not sent: the brokers take it from the token.
  const rd_kafka_resp_err_t code =
      rd_kafka_oauthbearer_set_token(client->rk(), token.c_str(), expires_at_ms, "", pointers.data(), pointers.size(),
                                     text, sizeof(text));
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) ThrowFailure(FailureOf(client->rk(), code, text));
}

}  // namespace millrace
