using Huzhu.TestKit;
using Xunit;

[assembly: AssemblyFixture(typeof(Servers))]
