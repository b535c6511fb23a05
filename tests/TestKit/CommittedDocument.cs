using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Huzhu.TestKit;

/// <summary>
/// A document that is made from the code and committed, so that a change of it is seen. When they differ, the test fails; with
/// <c>HUZHU_WRITE_DOCUMENTS=1</c> it writes the new one, to be looked at and committed.
/// </summary>
public static class CommittedDocument
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <param name="path">From the root of the repository, with slashes.</param>
    public static void AssertSame(string path, JsonNode made)
    {
        var file = Path.Combine(Root(), path);
        if (Environment.GetEnvironmentVariable("HUZHU_WRITE_DOCUMENTS") == "1")
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllText(file, made.ToJsonString(Indented) + "\n");
        }
        if (!File.Exists(file) || !JsonNode.DeepEquals(JsonNode.Parse(File.ReadAllText(file)), made))
            throw new InvalidOperationException($"{path} is not what the code says now{FirstDifference(file, made)}. When the change is meant, run this test with HUZHU_WRITE_DOCUMENTS=1, look at the file and commit it.");
    }

    private static string FirstDifference(string file, JsonNode made)
    {
        if (!File.Exists(file))
            return ": the file is missing";
        var (committed, now) = (JsonNode.Parse(File.ReadAllText(file))!.ToJsonString(Indented).Split('\n'), made.ToJsonString(Indented).Split('\n'));
        var line = committed.Zip(now).TakeWhile(pair => pair.First == pair.Second).Count();
        return $": line {line + 1} is \"{committed.ElementAtOrDefault(line)?.Trim()}\", and should be \"{now.ElementAtOrDefault(line)?.Trim()}\"";
    }

    private static string Root()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Huzhu.slnx")))
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests do not run inside the repository.");
        return folder;
    }
}
