#include "api/openapi.h"

#include "wire/cloud_api.h"

#include <algorithm>
#include <cctype>

namespace godwit::api {
namespace {

namespace json = wire::json;

// ---- YAML: block style, and JSON's quotes (which YAML 1.2 takes) around everything that is not a plain word

bool is_plain(std::string_view text) {
  static const std::vector<std::string_view> kSpecial{"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
  if (text.empty() || std::find(kSpecial.begin(), kSpecial.end(), text) != kSpecial.end()) return false;
  const auto first = static_cast<unsigned char>(text.front());
  if (!std::isalpha(first) && first != '/' && first != '$') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("/_-.{}$ ").find(c) != std::string_view::npos;
  });
}

std::string scalar(const json::value& value) {
  if (value.is_string()) {
    const std::string_view text(value.get_string());
    if (is_plain(text) && text.back() != ' ') return std::string(text);
  }
  if (value.is_double() && value.get_double() == 0) return "0";
  return wire::print_json(value);
}

bool is_scalar(const json::value& value) {
  if (const auto* object = value.if_object()) return object->empty();
  if (const auto* array = value.if_array()) {
    return std::all_of(array->begin(), array->end(), [](const auto& each) { return each.is_string(); });
  }
  return true;
}

void emit(const json::value& value, std::size_t depth, std::string& out) {
  const std::string indent(depth * 2, ' ');
  if (const auto* object = value.if_object()) {
    for (const auto& each : *object) {
      out +=
          indent + (is_plain(each.key()) ? std::string(each.key()) : wire::print_json(json::value(each.key()))) + ":";
      if (is_scalar(each.value())) {
        out += " " + scalar(each.value()) + "\n";
      } else {
        out += "\n";
        emit(each.value(), depth + 1, out);
      }
    }
  } else if (const auto* array = value.if_array()) {
    for (const auto& each : *array) {
      std::string item;
      emit(each, depth + 1, item);
      out += indent + "- " + item.substr((depth + 1) * 2);
    }
  } else {
    out += indent + scalar(value) + "\n";
  }
}

// ---- the document

json::object reference(const std::string& type) { return {{"$ref", "#/components/schemas/" + type}}; }

json::object json_content(const std::string& type) {
  return {{"content", json::object{{"application/json", json::object{{"schema", reference(type)}}}}}};
}

json::object bytes_content(const std::string& what) {
  const json::object schema{{"type", "string"}, {"format", "binary"}};
  return {{"description", what},
          {"content", json::object{{"application/octet-stream", json::object{{"schema", schema}}}}}};
}

std::string operation_id(const Route& route) {
  std::string id = route.method;
  std::transform(id.begin(), id.end(), id.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const char c : route.pattern.substr(3)) {  // without "/v1"
    if (std::isalnum(static_cast<unsigned char>(c))) {
      id += c;
    } else if (!id.ends_with('_') && c != '}') {
      id += '_';
    }
  }
  return id;
}

json::array parameters(const Route& route) {
  json::array out;
  for (std::size_t at = route.pattern.find('{'); at != std::string::npos; at = route.pattern.find('{', at + 1)) {
    const auto name = route.pattern.substr(at + 1, route.pattern.find('}', at) - at - 1);
    out.push_back(
        json::object{{"name", name}, {"in", "path"}, {"required", true}, {"schema", json::object{{"type", "string"}}}});
  }
  if (!route.stream_of.empty()) {
    out.push_back(json::object{{"name", route.stream_of},
                               {"in", "query"},
                               {"description", "1: a stream of JSON lines, one at each change, until the end"},
                               {"schema", json::object{{"type", "string"}}}});
  }
  return out;
}

json::array security(Caller caller) {
  if (caller == Caller::anyone) return {};
  const bool certificate = caller == Caller::host || caller == Caller::destination_host;
  const char* scheme = certificate ? "certificate" : caller == Caller::joining_host ? "join_token" : "bearer";
  return {json::object{{scheme, json::array{}}}};
}

json::object answer_of(const Route& route, Schemas& schemas) {
  if (!route.bytes_out.empty()) return bytes_content(route.bytes_out);
  route.answer.declare(schemas);
  auto answer = json_content(route.answer.name);
  answer["description"] = "done";
  return answer;
}

json::object operation(const Route& route, Schemas& schemas) {
  json::object out{{"operationId", operation_id(route)}, {"summary", route.summary}};
  out["x-caller"] = wire::to_json(route.caller);
  if (const auto list = security(route.caller); !list.empty()) out["security"] = list;
  if (const auto list = parameters(route); !list.empty()) out["parameters"] = list;
  if (route.request) {
    route.request->declare(schemas);
    auto body = json_content(route.request->name);
    body["required"] = true;
    out["requestBody"] = std::move(body);
  }
  if (!route.bytes_in.empty()) {
    auto body = bytes_content(route.bytes_in);
    body["required"] = true;
    out["requestBody"] = std::move(body);
  }
  auto answer = answer_of(route, schemas);
  if (!route.stream_of.empty()) {
    answer["content"].get_object()["application/x-ndjson"] = json::object{{"schema", reference(route.answer.name)}};
  }
  auto error = json_content("ApiError");
  error["description"] = "not done; why";
  out["responses"] = json::object{{"200", std::move(answer)}, {"default", std::move(error)}};
  return out;
}

json::object security_schemes() {
  return {{"bearer", json::object{{"type", "http"}, {"scheme", "bearer"}}},
          {"join_token", json::object{{"type", "http"}, {"scheme", "bearer"}}},
          {"certificate", json::object{{"type", "mutualTLS"}}}};
}

}  // namespace

std::string openapi_yaml(const Router& router, const ApiTitle& title) {
  Schemas schemas;
  static_cast<void>(schema_of<wire::ApiError>(schemas));
  std::map<std::string, json::object> paths;
  for (const auto& route : router.routes()) {
    std::string method = route.method;
    std::transform(method.begin(), method.end(), method.begin(), [](unsigned char c) { return std::tolower(c); });
    paths[route.pattern][method] = operation(route, schemas);
  }
  json::object all_paths;
  for (auto& [pattern, operations] : paths) all_paths[pattern] = std::move(operations);
  json::object all_schemas;
  for (auto& [name, schema] : schemas) all_schemas[name] = std::move(schema);
  const json::value document = json::object{
      {"openapi", "3.1.0"},
      {"info", json::object{{"title", title.title}, {"version", "1"}, {"description", title.description}}},
      {"paths", std::move(all_paths)},
      {"components", json::object{{"securitySchemes", security_schemes()}, {"schemas", std::move(all_schemas)}}}};
  std::string out = "# Written from the routes in src/api: run api_test with GODWIT_WRITE_GOLDEN=1 after a change.\n";
  emit(document, 0, out);
  return out;
}

}  // namespace godwit::api
