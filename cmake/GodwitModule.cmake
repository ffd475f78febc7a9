# godwit_module(NAME LAYER n [DEPS module…] [EXTERNAL target…])
#
# A module is a folder of src/: every *.cc in it is its library godwit_NAME, every *_test.cc its test program NAME_test.
# DEPS is the one declaration of whom it may include; tools/check-includes holds the #includes to it. A module depends only
# on modules of lower layers:
#   0 base   1 sys, wire   2 crypto, sim   3 content, hypervisor, os, overlay, placement   4 image, migrate   5 agent, cloud, sky, tunnel
#   6 api   7 apps
# TEST_DEPS are modules that only its tests include (tests may name os and sim). Tests also see tests/: "support/…" and the
# suites "conformance/…", which run on the real and on the fake.
include(GoogleTest)

add_library(godwit_options INTERFACE)
target_compile_options(godwit_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  -Wconversion -Wno-sign-conversion -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these for correct coroutine frames and inlined std::string code (GCC bugs 105562, 105329).
  target_compile_options(godwit_options INTERFACE -Wno-maybe-uninitialized -Wno-restrict -Wno-mismatched-new-delete)
  target_compile_options(godwit_options INTERFACE -fcoroutines)
else()
  # libstdc++ 12's stable_sort uses what C++17 deprecates; g++ looks at what else is deprecated.
  target_compile_options(godwit_options INTERFACE -Wno-deprecated-declarations)
endif()
target_include_directories(godwit_options INTERFACE "${CMAKE_SOURCE_DIR}/src")
# Boost and the others are not ours to warn about.
target_link_libraries(godwit_options INTERFACE Threads::Threads)
target_compile_definitions(godwit_options INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_BOOST_COROUTINE)

set(GODWIT_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them")
if(GODWIT_SANITIZE)
  target_compile_options(godwit_options INTERFACE -fsanitize=${GODWIT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(godwit_options INTERFACE -fsanitize=${GODWIT_SANITIZE})
endif()

function(godwit_module name)
  cmake_parse_arguments(arg "" "LAYER" "DEPS;TEST_DEPS;EXTERNAL" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")

  list(TRANSFORM arg_DEPS PREPEND godwit_)
  list(TRANSFORM arg_TEST_DEPS PREPEND godwit_)
  if(sources)
    add_library(godwit_${name} STATIC ${sources})
    target_link_libraries(godwit_${name} PUBLIC godwit_options ${arg_DEPS} ${arg_EXTERNAL})
  else()
    add_library(godwit_${name} INTERFACE)
    target_link_libraries(godwit_${name} INTERFACE godwit_options ${arg_DEPS} ${arg_EXTERNAL})
  endif()
  if(tests)
    add_executable(${name}_test ${tests})
    target_include_directories(${name}_test PRIVATE "${CMAKE_SOURCE_DIR}/tests")
    target_link_libraries(${name}_test PRIVATE godwit_${name} ${arg_TEST_DEPS} GTest::gmock_main)
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 120 LABELS unit)
  endif()
endfunction()
