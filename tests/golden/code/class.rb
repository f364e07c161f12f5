require 'json'
require_relative "lib/x"
=begin
for while
=end
def fact(n)
  return 1 if n < 2
  n * fact(n - 1)
end

class Foo
  def each_thing
    10.times do |i|
      while i > 3 do
        i -= 1 unless i.zero?
      end
      [1, 2].each { |x| puts x }
    end
    text = <<~EOS
      for each do end if
    EOS
    if text =~ /end "if/ then puts "#{text}" end
    Thread.new { Foo.new }
  end
end
