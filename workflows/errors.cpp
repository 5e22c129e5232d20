#include "workflows/errors.h"

#include <array>

namespace mill::workflows {
namespace {

struct Row {
    std::string_view name;
    int status;
    std::string_view title;
};
constexpr std::array<Row, 8> kRows{{{"configuration", 400, "Configuration error"},
                                    {"validation", 400, "Validation error"},
                                    {"expression", 400, "Expression error"},
                                    {"authentication", 401, "Authentication error"},
                                    {"authorization", 403, "Authorization error"},
                                    {"timeout", 408, "Timeout"},
                                    {"communication", 500, "Communication error"},
                                    {"runtime", 500, "Runtime error"}}};
constexpr std::string_view kBase = "https://serverlessworkflow.io/spec/1.0.0/errors/";

const Row& row(ErrorType type) { return kRows[static_cast<std::size_t>(type)]; }

}  // namespace

std::string uri_of(ErrorType type) { return std::string(kBase) + std::string(row(type).name); }
int status_of(ErrorType type) { return row(type).status; }

Fault make_fault(ErrorType type, std::string detail, std::string instance)
{
    Fault fault;
    fault.type = uri_of(type);
    fault.title = row(type).title;
    fault.status = row(type).status;
    fault.detail = std::move(detail);
    fault.instance = std::move(instance);
    return fault;
}

std::string normal_type(std::string_view type)
{
    std::string_view word = type;
    for (const std::string_view prefix :
         {kBase, std::string_view("https://serverlessworkflow.io/dsl/errors/types/"), std::string_view("https://open-workflow-specification.org/spec/1.0.0/errors/"),
          std::string_view("https://open-workflow-specification.org/dsl/errors/types/")})
        if (type.starts_with(prefix)) word = type.substr(prefix.size());
    for (const Row& known : kRows)
        if (word == known.name) return std::string(kBase) + std::string(word);
    return std::string(type);
}

Json to_json(const Fault& fault)
{
    Json out = Json::object({{"type", fault.type}, {"status", fault.status}});
    if (!fault.title.empty()) out.set("title", fault.title);
    if (!fault.detail.empty()) out.set("detail", fault.detail);
    if (!fault.instance.empty()) out.set("instance", fault.instance);
    return out;
}

}  // namespace mill::workflows
