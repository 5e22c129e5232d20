// Reads a test file; no input may end the process, every finding has a place, and without findings there is a case to run.
#include <cstdint>
#include <string_view>

#include "workflows/stand_ins.h"
#include "workflows/test_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace mill::workflows;
    const TestFile file = read_test_file({reinterpret_cast<const char*>(data), size}, "tests/f.yaml");
    for (const Finding& finding : file.findings)
        mill::check(finding.mark.line > 0 && finding.mark.column > 0 && !finding.text.empty(), "a finding without a place");
    if (!file.findings.empty()) return 0;
    mill::check(!file.cases.empty(), "nothing read and nothing said");
    for (const TestCase& test : file.cases) {
        mill::check(!test.name.empty(), "a case without a name");
        const auto again = [](const std::string& pointer, const std::string&) { mill::check(false, pointer.c_str()); };
        (void)read_stand_ins(test.rehearsal["standIns"], "/standIns", again);  // what was accepted is accepted by the runner
    }
    return 0;
}
