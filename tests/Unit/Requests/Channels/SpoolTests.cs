using System.Text;
using Huzhu.Requests.Channels;
using Huzhu.Requests.Intake;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.FileProviders;
using Microsoft.Extensions.Hosting;
using Xunit;

namespace Huzhu.Tests.Unit.Requests.Channels;

public sealed class SpoolTests : IDisposable
{
    private static readonly string Key = Convert.ToBase64String(Enumerable.Repeat((byte)7, 32).ToArray());
    private static readonly string NewKey = Convert.ToBase64String(Enumerable.Repeat((byte)8, 32).ToArray());
    private readonly string _folder = Directory.CreateTempSubdirectory("huzhu-spool-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private Spool Open(string? key = null, string? previous = null) => new(new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
    {
        [Spool.FolderKey] = _folder,
        ["PersonalData:MasterKey"] = key ?? Key,
        ["PersonalData:PreviousMasterKeys:0"] = previous,
    }.Where(pair => pair.Value is not null)).Build(), new Environment());

    private static Spool.Entry Entry(string text) => new(
        new Correspondent("wechat-main", "wechat", "openid-of-somebody", "+8613800000000", new ContactChannel("wechat", "main/openid-of-somebody"), true, Language.En),
        new Utterance("key-" + text, text, new ExactPlace(31.2, 121.4, 5), "J Road", false, Given.Now));

    [Fact]
    public void messages_come_out_in_the_order_in_which_they_came_in_and_the_file_goes_with_the_last()
    {
        using (var spool = Open())
        {
            Assert.Null(spool.Peek());
            foreach (var text in new[] { "a", "b", "c" })
                spool.Add(Entry(text));
            foreach (var text in new[] { "a", "b", "c" })
            {
                Assert.Equal(Entry(text), spool.Peek());
                spool.Remove(Entry(text));
            }
            Assert.Equal(0, spool.Count);
        }
        Assert.Empty(Directory.GetFiles(_folder));
    }

    [Fact]
    public void what_a_process_left_behind_is_found_by_the_next()
    {
        using (var spool = Open())
        {
            spool.Add(Entry("a"));
            spool.Add(Entry("b"));
        }
        using var next = Open();
        Assert.Equal(2, next.Adopt());
        Assert.Equal((Entry("a"), 2), (next.Peek(), next.Count));
        Assert.Equal(0, next.Adopt());
    }

    [Fact]
    public async Task what_waits_of_an_erased_person_goes_from_memory_and_disk_and_everybody_elses_stays()
    {
        var other = Entry("b") with { Who = Entry("b").Who with { Ref = "openid-of-another" } };
        using (var spool = Open())
        {
            spool.Add(Entry("a"));
            spool.Add(other);
            spool.Add(Entry("c"));
            spool.SetAside(Entry("d"));
            spool.SetAside(other);
            await spool.ForgetAsync(CallForHelp.PersonOf("wechat-main", "openid-of-somebody").Value, TestContext.Current.CancellationToken);
            Assert.Equal((other, 1), (spool.Peek(), spool.Count));
            // The message that was being taken in meanwhile is not the oldest any more.
            spool.Remove(Entry("a"));
            Assert.Equal(1, spool.Count);
        }
        Assert.Single(File.ReadAllLines(Path.Combine(_folder, "set-aside.lines")), line => line.Length > 0);
        using var next = Open();
        Assert.Equal(1, next.Adopt());
        Assert.Equal(other, next.Peek());
    }

    [Fact]
    public void the_file_of_a_living_process_is_left_alone()
    {
        using var spool = Open();
        spool.Add(Entry("a"));
        using var other = Open();
        Assert.Equal(0, other.Adopt());
        Assert.Equal(1, spool.Count);
    }

    [Fact]
    public void a_line_that_a_crash_cut_off_takes_no_other_with_it()
    {
        using (var spool = Open())
            spool.Add(Entry("a"));
        var file = Assert.Single(Directory.GetFiles(_folder));
        var whole = File.ReadAllText(file);
        File.WriteAllText(file, whole + whole[..(whole.Length / 2)] + whole);
        using var next = Open();
        Assert.Equal(2, next.Adopt());
    }

    [Fact]
    public void nothing_can_be_read_without_the_key()
    {
        using (var spool = Open())
            spool.Add(Entry("insulin"));
        var bytes = Encoding.UTF8.GetString(File.ReadAllBytes(Assert.Single(Directory.GetFiles(_folder))));
        Assert.All(["insulin", "openid-of-somebody", "138000"], word => Assert.DoesNotContain(word, bytes));
        using var stranger = Open(NewKey);
        Assert.Equal(0, stranger.Adopt());
        Assert.Equal(bytes, File.ReadAllText(Assert.Single(Directory.GetFiles(_folder, "*.unreadable"))));
    }

    [Fact]
    public void a_rotated_key_still_opens()
    {
        using (var spool = Open())
            spool.Add(Entry("a"));
        using var rotated = Open(NewKey, previous: Key);
        Assert.Equal(1, rotated.Adopt());
        Assert.Equal(Entry("a"), rotated.Peek());
    }

    [Fact]
    public void a_full_spool_refuses_rather_than_forgets()
    {
        using var spool = Open();
        var large = Entry(new string('a', 4_000_000));
        Assert.Throws<IOException>(() =>
        {
            for (var count = 0; count < 30; count++)
                spool.Add(large);
        });
        Assert.InRange(spool.Count, 5, 20);
    }

    internal sealed class Environment : IHostEnvironment
    {
        public string EnvironmentName { get; set; } = "Test";
        public string ApplicationName { get; set; } = "Test";
        public string ContentRootPath { get; set; } = "/nowhere";
        public IFileProvider ContentRootFileProvider { get; set; } = new NullFileProvider();
    }
}
