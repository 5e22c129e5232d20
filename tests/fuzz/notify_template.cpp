// Any text as a notifier's template, path and condition: it is refused or it renders, and what renders as JSON text stays bounded.
#include <cstdlib>
#include <string_view>

#include "factory/notify/template.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size)
{
    using namespace mill;
    using namespace mill::factory;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    static const Json document = *parse_json(R"({"event":"success","job":{"uid":"u"},"output":{"reply":"a \"b\"","list":[1,{"x":null}]},"invocationContext":{"id":"c"},"error":null})");
    if (const auto read = Template::parse(text)) {
        const std::string plain = read->text(document);
        if (plain.size() > size + size * 100) std::abort();
        (void)read->value(document);
        (void)read->json_text(document);
        (void)read->missing(document);
        if (read->is_plain() && text.find("${") == std::string_view::npos && plain != text) std::abort();
    }
    if (const auto path = parse_path(text)) (void)path->in(document);
    if (const auto condition = Condition::parse(text)) (void)condition->holds(document);
    return 0;
}
