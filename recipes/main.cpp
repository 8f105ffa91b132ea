// The program `capstan`.

#include <iostream>

int main() {
  std::cout << "capstan 0.1.0\n";
  return 0;
}
