# The tests' own files: what they test is optimised as it is shipped, their assertions need not be (a quarter of their compile time).
set(mill_test_options "$<$<CONFIG:Release>:-O0;-U_FORTIFY_SOURCE>")

# mill_add_test(ROOM [LABEL unit] [SERIAL] [LIBS ...] SOURCES ...): one Catch2 program per room and label, registered with CTest.
function(mill_add_test room)
    if(NOT MILL_TESTS)
        return()
    endif()
    cmake_parse_arguments(ARG "SERIAL" "LABEL;TIMEOUT" "LIBS;SOURCES" ${ARGN})
    if(NOT ARG_LABEL)
        set(ARG_LABEL unit)
    endif()
    if(NOT ARG_TIMEOUT)
        set(ARG_TIMEOUT 240)
    endif()
    if(MILL_SANITIZE)
        math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 5")
    endif()
    set(target "${room}_${ARG_LABEL}_tests")
    add_executable(${target} ${ARG_SOURCES} $<TARGET_OBJECTS:mill_test_main>)
    target_link_libraries(${target} PRIVATE mill::flags Catch2::Catch2 fmt::fmt ${ARG_LIBS})
    target_compile_options(${target} PRIVATE ${mill_test_options})
    # Every test file has a Bench and helpers of its own: each is compiled by itself.
    set_target_properties(${target} PROPERTIES UNITY_BUILD OFF RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
    set(cases)
    if(MILL_SANITIZE)
        set(cases "~[huge]")  # what takes seconds of optimised code takes ten minutes there
    endif()
    add_test(NAME ${room}.${ARG_LABEL} COMMAND ${target} ${cases} --order rand --rng-seed time)
    # report_mutex_bugs: asio's scheduler stands in libcpprest and in our programs; what the one locks, unseen, the other unlocks.
    if(ARG_SERIAL)
        set_tests_properties(${room}.${ARG_LABEL} PROPERTIES RUN_SERIAL ON)  # it looks at all processes of the machine, or at times
    endif()
    set_tests_properties(${room}.${ARG_LABEL} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT}
        ENVIRONMENT "MILL_BIN=${CMAKE_BINARY_DIR}/bin;MILL_SOURCE=${CMAKE_SOURCE_DIR};TSAN_OPTIONS=report_mutex_bugs=0 suppressions=${CMAKE_SOURCE_DIR}/tests/support/tsan.suppressions;LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/support/lsan.suppressions")
endfunction()
