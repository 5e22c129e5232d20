// Any bytes as a package: refused, or read into files whose names stay inside; what is read can be packed and read again.
#include <cstdint>
#include <string_view>

#include "workflows/archive.h"
#include "workflows/package.h"

using namespace mill;
using namespace mill::workflows;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    (void)manifest_of(bytes);
    const auto files = read_archive(bytes);
    if (!files) {
        check(!files.error().what.empty(), "a refusal without words");
        check(!load_archive(bytes).has_value(), "a package loaded out of no archive");
        return 0;
    }
    for (const auto& [path, content] : *files) check(is_package_path(path), "a path that leaves the package");
    const auto manifest = files->find("manifest.json");
    check(manifest != files->end(), "a package without a manifest");
    const auto packed = write_archive(manifest->second, *files);
    const auto again = packed ? read_archive(*packed) : files;
    check(packed.has_value() && again && *again == *files, "files changed on their way through an archive");
    if (const auto package = load_archive(bytes))
        for (const auto& finding : package->findings) check(finding.mark.line > 0 && finding.mark.column > 0 && !finding.text.empty(), "a finding without a place");
    return 0;
}
